/* cutover.pml - who may write to AWS, and when "rolled back" may be said.
 *
 * Left out: what lines say besides the fields below; the judge; steps other than
 * one raise; several rules; the dead-man's switch; approvals, pause, retry and
 * one-way doors; reads that fail (slow ones are in) or show what was before a
 * write; other people's weights; a journal that cannot be written or is damaged;
 * the proof by CloudWatch (it comes as early as it can: with the read of the
 * rule); calling a person, freezing, and the look after the end; a third
 * controller. Two controllers, one run, one order. Time passes in steps of ten
 * seconds, and what happens within one happens in every order: a bound is met or
 * missed by whole steps. Faults come as often as the numbers below say; the wall
 * clock decides nothing here, so it may stand and jump (OLD_WALL: where it did).
 *
 * Names are those of controller/engine: claim.c, lease.c, engine.c, traffic.c,
 * proof.c, back.c, journal.c. README.md says how to run it, how to read what it
 * finds, and what each -D switches off. */

/* --- numbers: steps of ten seconds -------------------------------------------- */

#define LEASE 3              /* ENGINE_LEASE_MS */
#define REQUEST 1            /* HTTP_TIMEOUT_MS: the longest request */
#define LATE 2               /* longest from sending to taking effect; PROOF_LATE_WRITE_MS is six */
#ifndef READS
#define READS 3              /* three reads of REQUEST each precede a write on the way back */
#endif
#ifndef SIGNED
#define SIGNED 30            /* AWS refuses what was signed longer ago: five minutes */
#endif
#ifndef STOPS
#define STOPS 2              /* SIGSTOPs, of either controller, each as long as it likes */
#endif
#ifndef DEATHS
#define DEATHS 1             /* kill -9 of one controller */
#endif
#ifndef HANGS
#define HANGS 0              /* a worker that never comes back, in a process that lives */
#endif
#ifndef GIVEN
#define GIVEN 1              /* orders */
#endif
#ifndef LOST
#define LOST 99              /* writes or answers that the network swallows */
#endif

#ifdef NO_LONGEST_REQUEST
#define OUTWAIT LEASE
#else
#define OUTWAIT (LEASE + REQUEST)
#endif
/* Steps that are waited out; one more, since what happens within one happens in every order. */
#ifdef WAIT_FOR_SIGNATURE    /* until AWS would have refused it */
#define UNSURE (SIGNED + LATE + 1)
#else
#define UNSURE (LATE + 1)
#endif
#define DOUBT (UNSURE + 1)   /* and it was not begun to wait */

#ifdef OLD                   /* all as it was */
#define OLD_LEASE
#define OLD_DEAD
#define OLD_CLAIM
#define OLD_UNSURE
#define OLD_WALL
#define GATE_AGE_FIRST
#define LOOK_BEFORE_THE_WAIT_ENDS
#endif

#define NOBODY 2
#define NONE 255
#define other(c) (1 - (c))

/* --- the journal, folded ---------------------------------------------------------- */

mtype = { FORWARD, BACK, PROMOTED, ROLLED_BACK };
mtype state = FORWARD;
byte holder = 0;             /* of the newest claim; controller 0 has just made it */
bit wish;                    /* an order that is not answered yet */
bit writing;                 /* a `write` line that no `weights` line follows */
bit left_green;              /* of the newest `weights` line */

/* What stands in the journal beyond what a controller has folded: any of these
 * makes its append lose (store_append: seq must be last + 1). */
#define AN_ORDER 1
#define A_LINE 2
#define A_CLAIM 3
byte moved[2];               /* 0, or the most that came */

/* --- a controller's process --------------------------------------------------------- */

bit up[2] = 1;               /* not stopped */
bit dead[2];                 /* killed */
bit hung[2];                 /* its worker is */
bit gone[2];                 /* its worker has ended: the run is over, or lost */
bit visible;                 /* the dead one was of the same boot and PID namespace: it is surely dead */
byte timer[2];               /* steps until the worker goes on, by its monotonic clock */
bit ours[2];                 /* lease.ours: it believes that it holds the run */
byte age[2];                 /* lease_age(): of the newest own sign of life; LEASE: that old or older */
bit due[2];                  /* its beat thread has something to do */
bit watches[2];              /* it is in claim_outwait */
bit gated[2];                /* between the gate's last look and the send */
byte sure_in[2];             /* proof.c: steps until no unanswered write can land any more, or DOUBT */
#ifdef OLD_WALL
bit jumped;                  /* the wall clock did, while something was waited for */
#endif

/* --- AWS ---------------------------------------------------------------------------- */

bit rule;                    /* green has weight */
bit to[4];                   /* writes in the network: [c] is waited for, [c + 2] was given up */
byte lands[4] = NONE;        /* in how many steps; NONE: there is none */
byte stops = STOPS, deaths = DEATHS, hangs = HANGS, lost = LOST;
bit pending;                    /* an order was accepted and is neither carried out nor answered */

#define is_flying(v) ((lands[0] != NONE && to[0] == v) || (lands[1] != NONE && to[1] == v) || \
		      (lands[2] != NONE && to[2] == v) || (lands[3] != NONE && to[3] == v))
#define is_over (state == ROLLED_BACK)

/* Nothing is left to do at this moment: time may pass. Between gate and send a
 * process may be slow or stopped, but for less than the longest request; only
 * STOP_AT_SEND lets it sleep there for ever. */
#ifdef STOP_AT_SEND
#define sleeps(c) (!up[c])
#else
#define sleeps(c) (!up[c] && !(gated[c] && timer[c] == 0))
#endif
#define rests(c) (gone[c] || sleeps(c) || \
		  (up[c] && timer[c] > 0 && !gated[c]))
#define beat_rests(c) (!due[c] || !up[c] || dead[c])
#define quiet (rests(0) && rests(1) && beat_rests(0) && beat_rests(1) && \
	       lands[0] != 0 && lands[1] != 0 && lands[2] != 0 && lands[3] != 0)

/* --- journal.c ------------------------------------------------------------------------- */

#define is_in(c) (!dead[c] && !gone[c])

/* run_catch_up */
#define catch_up(c) moved[c] = 0

/* Who watches folds all the time; a claim ends that. */
#define comes_to(c, what) moved[c] = ((!watches[c] || what == A_CLAIM) && is_in(c) && moved[c] < what -> what : moved[c])
#define line_written(c, what) comes_to(other(c), what)

/* engine_append: a line that an order came before follows it where the order
 * changes nothing: on the way back. Elsewhere the tick begins anew and sees it. */
#ifdef REPEAT_EVERYWHERE
#define may_follow(c) (moved[c] == AN_ORDER)
#else
#define may_follow(c) (moved[c] == AN_ORDER && state == BACK)
#endif
#define append_wins(c) (moved[c] == 0 || may_follow(c))

/* --- run.c, proof.c ------------------------------------------------------------------------ */

/* A write was announced whose end nobody read, or will read. It is waited out by
 * each process's own clock, from its first look on the way back. */
inline doubt()
{
	sure_in[0] = (is_in(0) -> DOUBT : 0);
	sure_in[1] = (is_in(1) -> DOUBT : 0)
}
inline doubt_if(rule_is_on)
{
	if
	:: writing && rule_is_on -> doubt()
	:: else
	fi
}

#ifdef OLD_UNSURE    /* only what its sender called so */
#define CLAIM_IS_SURE
#define BACK_IS_SURE
#define WRITE_IS_SURE
#endif
#ifdef CLAIM_IS_SURE
#define claim_doubts 0
#else
#define claim_doubts 1
#endif
#ifdef BACK_IS_SURE
#define back_doubts 0
#else
#define back_doubts 1
#endif
#ifdef WRITE_IS_SURE
#define write_doubts 0
#else
#define write_doubts 1
#endif

/* --- claim.c, lease.c -------------------------------------------------------------------- */

#ifdef OLD_DEAD      /* "cannot read /proc/PID" counts as dead */
#define holder_is_dead(c) 1
#else                /* same boot, same PID namespace, ESRCH */
#define holder_is_dead(c) (visible && (dead[holder] || (gone[holder] && !hung[holder])))
#endif

#define stamp(c) age[c] = 0
#ifdef STAMP_AFTER_CLAIM
#define stamp_after_claim(c) stamp(c)
#else
#define stamp_after_claim(c) skip
#endif

/* What a process that does not hold the run knows does not count. */
inline disown(c)
{
	ours[c] = 0; age[c] = LEASE; due[c] = 0; timer[c] = 0;
	catch_up(c)
}
/* Whoever watches begins to count anew. */
#define stirs(c) timer[c] = (watches[c] -> OUTWAIT : timer[c])
#define store_beat(c) stirs(other(c))

/* The `claim` line, and what folding it means for the one who wrote it. */
inline claim_line(c)
{
	doubt_if(claim_doubts);
	due[other(c)] = 0; /* means nothing any more */
	holder = c;
	visible = 0;
	ours[c] = 1;
	moved[c] = 0;
	line_written(c, A_CLAIM)
}

/* --- traffic.c ------------------------------------------------------------------------------ */

/* What becomes of a write is decided when it leaves: it takes effect after at
 * most LATE, or never; its answer comes within REQUEST, or not at all. */
inline elb_rule_set(c)
{
	if
	:: lands[c] = 0; answered = 1
	:: lands[c] = REQUEST; answered = 1
	:: lost > 0 -> lost = (lost == 99 -> 99 : lost - 1);
		answered = 0;
		if
		:: lands[c] = 0
		:: lands[c] = REQUEST
		:: lands[c] = LATE
		:: skip /* never */
		fi
	fi;
	to[c] = (lands[c] == NONE -> 0 : goal);
	timer[c] = (answered -> lands[c] : REQUEST)
}

inline write_given_up(c)
{
	if
	:: lands[c] != NONE ->
		lands[c + 2] = lands[c];
		to[c + 2] = to[c];
		lands[c] = NONE;
		to[c] = 0
	:: else
	fi
}

#define me _pid

active [2] proctype driver() provided (up[_pid])
{
	bit goal, answered, sure; /* 0 where they mean nothing: fewer states */
	byte n;

	{
	if
	:: atomic { me == 0 -> ours[me] = 1; goto tick }
	:: else
	fi;

	/* engine_claim */
claim:
	atomic {
		disown(me);
		if
		:: is_over -> goto end_over
		:: else
		fi;
		if
		:: holder_is_dead(me) -> goto take
		:: else
		fi;
		watches[me] = 1;
		timer[me] = OUTWAIT
	}

	/* claim_outwait: the counter stood still for that long, and then nobody has
	 * claimed; what comes later makes the claim lose its line. */
	(timer[me] == 0) -> watches[me] = 0;
	atomic {
		if
#ifndef CLAIM_IS_NOT_SEEN
		:: moved[me] == A_CLAIM -> goto claim
		:: moved[me] != A_CLAIM -> catch_up(me)
#else
		:: catch_up(me)
#endif
		fi
	}

	/* claim_take */
take:
	atomic {
		if
#ifndef TAKE_WITHOUT_CAS
		:: moved[me] == AN_ORDER -> /* a mere order: folded, and repeated */
#ifdef OLD_CLAIM
			goto end_over
#endif
		:: moved[me] > AN_ORDER -> goto claim
#endif
		:: else
		fi;
#ifndef STAMP_AFTER_CLAIM
		stamp(me); /* taken before: who is stopped in between finds it older, not younger */
#endif
		claim_line(me)
	}
	atomic { stamp_after_claim(me); store_beat(me) };

	/* engine_tick */
tick:
	atomic {
		catch_up(me);
		goal = 0; answered = 0; sure = 0; timer[me] = 0;
		if
		:: holder != me -> goto claim
		:: is_over -> goto end_over
#ifdef OLD_LEASE
		:: else -> stamp(me); store_beat(me)
#else
		:: holder == me && age[me] >= LEASE -> goto take /* engine_renew */
		:: else
#endif
		fi;
		if
		:: state == BACK -> /* proof_nothing_is_late */
			sure_in[me] = (sure_in[me] == DOUBT -> UNSURE : sure_in[me]);
			sure = (sure_in[me] == 0);
			goto reach
		:: else
		fi;
		/* answer_wish, forward_tick */
		if
		:: wish -> goto append_back
		:: !wish && state == FORWARD && (left_green || writing) -> goto append_back /* BAD */
#ifdef ORDERS
		:: !wish && state == FORWARD && left_green -> goto append_promoted
#endif
		:: !wish && state == FORWARD && !left_green -> goal = 1; goto reach
		:: !wish -> goto nap
		fi
	}
append_back:
	atomic {
		if
		:: append_wins(me) -> catch_up(me); state = BACK; wish = 0; doubt_if(back_doubts); line_written(me, A_LINE)
		:: else
		fi;
		goto tick
	}
append_promoted:
	atomic {
		if
		:: append_wins(me) -> catch_up(me); state = PROMOTED; wish = 0; line_written(me, A_LINE)
		:: else
		fi;
		goto tick
	}

	/* traffic_back, traffic_reach */
reach:
	do
	:: atomic { n < READS -> n++; timer[me] = 1 }; (timer[me] == 0)
	:: break
	od;
	atomic {
		n = 0;
		if
		:: rule == goal -> goto settle
		:: else -> sure = 0
		fi
	}
	atomic { /* write_rule */
		if
		:: append_wins(me) -> catch_up(me); doubt_if(write_doubts); writing = 1; line_written(me, A_LINE)
		:: else -> goto tick
		fi
	}

	/* engine_gate */
#ifdef GATE_AGE_FIRST
	if
	:: age[me] >= LEASE -> goto tick
	:: else
	fi;
#endif
#ifdef NO_GATE_JOURNAL
	skip;
#else
	if
	:: atomic { holder != me -> goto claim }
	:: atomic { else -> catch_up(me) }
	fi;
#endif
	atomic {
#if !defined(GATE_AGE_FIRST) && !defined(NO_GATE_AGE)
		if
		:: age[me] >= LEASE -> goto tick
		:: else
		fi;
#endif
		gated[me] = 1;
#ifdef STOP_AT_SEND
		timer[me] = SIGNED
#else
		timer[me] = REQUEST
#endif
	}

	/* http_send */
	atomic {
		gated[me] = 0;
		sure = 0;
#ifdef STOP_AT_SEND
#ifndef NO_SIGNATURE_AGE
		if
		:: timer[me] == 0 -> goto tick /* RequestExpired: AWS did nothing */
		:: else
		fi;
#endif
#else
		/* ONE WRITER: what leaves leaves from the holder of the newest claim */
		assert(holder == me);
#endif
		elb_rule_set(me)
	}
	if
	:: answered -> (timer[me] == 0 && lands[me] == NONE)
	:: atomic { else -> timer[me] == 0 && lands[me + 2] == NONE; write_given_up(me) };
		goto append_unsure
	fi;
	atomic {
		answered = 0;
		if
		:: rule == goal -> goto settle
		:: else -> goto nap
		fi
	}
append_unsure:
	atomic {
		if
		:: append_wins(me) -> catch_up(me); line_written(me, A_LINE);
#ifndef OWN_WRITE_IS_SURE
			doubt()
#endif
		:: else -> goto tick
		fi;
		goto nap
	}
settle:
	atomic {
		if
		:: left_green == goal && !writing
		:: else ->
			if
			:: append_wins(me) -> catch_up(me); writing = 0; left_green = goal; line_written(me, A_LINE)
			:: else -> goto tick
			fi
		fi;
		if
		:: goal == 1 -> goto nap
		:: else
		fi
	}

	/* proof_of_blue, and the end of back_tick */
	if
#ifdef OLD_WALL
	:: sure_in[me] == 0 || jumped
#elif defined(LOOK_BEFORE_THE_WAIT_ENDS)
	:: sure_in[me] == 0
#else
	:: sure
#endif
	:: else -> goto nap
	fi;
	atomic {
		if
		:: append_wins(me) ->
			catch_up(me); line_written(me, A_LINE);
			state = ROLLED_BACK;
			pending = 0;
			wish = 0;
			/* ROLLED BACK: green has no weight, and nothing under way gives it any */
			assert(!rule && !is_flying(1));
			goto end_over
		:: else -> goto tick
		fi
	}

nap:
	atomic { goal = 0; sure = 0; timer[me] = 1 };
	(timer[me] == 0) -> goto tick;

	} unless { dead[me] || hung[me] };

end_over:
	atomic { disown(me); goal = 0; answered = 0; sure = 0; n = 0; gone[me] = 1; sure_in[me] = 0 };
end_gone:
	false
}

/* lease_tick: one thread in each process */
#define whose (_pid - 2)

/* One reading of the clock says whether the lease is still ours and is the
 * stamp; it is taken before the counter moves, since others count from then on. */
#ifdef BEAT_REVIVES  /* however old the last one is */
#define may_beat(c) due[c]
#elif defined(BEAT_WHILE_HUNG)
#define may_beat(c) (due[c] && (age[c] < LEASE || hung[c]))
#else
#define may_beat(c) (due[c] && age[c] < LEASE)
#endif

active [2] proctype beats() provided (up[_pid - 2] && !dead[_pid - 2])
{
end_beats:
	do
#ifdef STAMP_AFTER_BEAT
	:: may_beat(whose) -> store_beat(whose);
		atomic { stamp(whose); due[whose] = 0 }
#elif defined(STAMP_APART)
	:: may_beat(whose) -> atomic { stamp(whose); store_beat(whose); due[whose] = 0 }
#else
	:: atomic { may_beat(whose) -> stamp(whose); store_beat(whose); due[whose] = 0 }
#endif
	:: due[whose] && !may_beat(whose) -> due[whose] = 0
	od
}

active proctype aws()
{
	byte i;

end_aws:
	do
	:: d_step {
		lands[0] == 0 || lands[1] == 0 || lands[2] == 0 || lands[3] == 0 ->
		i = (lands[2] == 0 -> 2 : (lands[3] == 0 -> 3 : (lands[0] == 0 -> 0 : 1)));
		rule = to[i];
		lands[i] = NONE;
		to[i] = 0;
		/* ROLLED BACK */
		assert(!(rule && is_over));
#ifndef ANY_ORDER
		/* IN ORDER: what lands from an older claim lands while the newer holder waits for it */
		assert(holder == i % 2 || dead[holder] || sure_in[holder] > 0);
#endif
		i = 0
	}
	od
}

#define moves_on(x) x = (x > 0 -> x - 1 : 0)
#define waits_on(x) x = (x > 0 && x < DOUBT -> x - 1 : x)
#define flies_on(i) lands[i] = (lands[i] == NONE -> NONE : lands[i] - 1)
#define grows(x, most) x = (x < most -> x + 1 : most)

#ifdef OLD_LEASE
#define beats_now(c) 0
#elif defined(BEAT_WHILE_HUNG)
#define beats_now(c) (ours[c] || hung[c])
#else
#define beats_now(c) ours[c]
#endif

active proctype clock()
{
end_clock:
	do
	:: d_step {
		quiet ->
		moves_on(timer[0]); moves_on(timer[1]);
		waits_on(sure_in[0]); waits_on(sure_in[1]);
		grows(age[0], LEASE); grows(age[1], LEASE);
		flies_on(0); flies_on(1); flies_on(2); flies_on(3);
		due[0] = beats_now(0) && !dead[0];
		due[1] = beats_now(1) && !dead[1]
	}
	od
}

active proctype operator()
{
end_operator:
	atomic {
		GIVEN > 0 && !is_over && !quiet -> /* engine_order: repeated until it wins its line */
		comes_to(0, AN_ORDER);
		comes_to(1, AN_ORDER);
#ifdef ORDERS
		pending = 1;
#endif
		wish = (state != BACK)
	}
}

/* Whatever befalls a process that only waits might as well come when the wait is over. */
#define is_at_work(c) (timer[c] == 0 || due[c] || gated[c])

inline dies(c)
{
	deaths--;
	disown(c);
	sure_in[c] = 0; dead[c] = 1; gated[c] = 0; watches[c] = 0; up[c] = 1;
	if
	:: visible = 1
	:: visible = 0
	fi
}

active proctype faults()
{
end_faults:
	do
	:: atomic { stops > 0 && up[0] && !dead[0] && is_at_work(0) -> up[0] = 0; stops-- }
	:: atomic { stops > 0 && up[1] && !dead[1] && is_at_work(1) -> up[1] = 0; stops-- }
	:: !up[0] && !dead[0] -> up[0] = 1
	:: !up[1] && !dead[1] -> up[1] = 1
	:: atomic { deaths > 0 && !gone[0] && is_at_work(0) -> dies(0) }
	:: atomic { deaths > 0 && !gone[1] && is_at_work(1) -> dies(1) }
	:: atomic { hangs > 0 && !gone[0] && is_at_work(0) && !gated[0] -> hangs--; hung[0] = 1; watches[0] = 0 }
	:: atomic { hangs > 0 && !gone[1] && is_at_work(1) && !gated[1] -> hangs--; hung[1] = 1; watches[1] = 0 }
#ifdef OLD_WALL
	:: !jumped -> jumped = 1
#endif
	od
}

/* ORDERS: what was accepted is carried out. */
#ifdef ORDERS
ltl orders { [] (pending -> <> !pending) }
#endif
