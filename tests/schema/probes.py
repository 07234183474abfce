"""What a wiki must be able to do: each probe is one question that a reader, an
editor or an administrator has, and fails with what is wrong. Some look whether
what was just written can be read again, since a wiki on foreign tables may
answer HTTP 200 with nothing in it.
"""
import itertools

from wikis import Failed

PROBES = []
counter = itertools.count(1)


def probe(f):
    PROBES.append(f)
    return f


def need(value, what):
    if not value:
        raise Failed(what)
    return value


def seed(site):
    """What the probes find in a wiki."""
    site.login()
    site.write('edit', title='Template:Box', text='A box.', createonly=1)
    site.write('edit', title='Alpha', text='Alpha links to [[Beta]] and [[File:None.png]] {{Box}} [[Category:Letters]] http://example.org/alpha')
    site.write('edit', title='Beta', text='Beta links to [[Alpha]]. [[Category:Letters]]')
    site.write('edit', title='Beta', text='Beta links to [[Alpha]], again. [[Category:Letters]]', summary='second')
    site.write('edit', title='Gamma', text='#REDIRECT [[Alpha]]')
    site.write('block', user='203.0.113.9', expiry='infinite', reason='test')
    site.write('protect', title='Beta', protections='edit=sysop', expiry='infinite')


# --- readers ---


@probe
def main_page(site):
    site.page('/index.php/Main_Page', 'MediaWiki')


@probe
def article(site):
    site.page('/index.php/Alpha', 'Alpha links to')


@probe
def redirect(site):
    site.page('/index.php/Gamma', 'Alpha links to')


@probe
def siteinfo(site):
    need(site.api(action='query', meta='siteinfo', siprop='general|statistics')['query']['general']['generator'], 'no generator')


@probe
def revisions(site):
    pages = site.api(action='query', prop='revisions', titles='Beta', rvlimit=10, rvprop='ids|user|comment|content', rvslots='main')['query']['pages']
    need(len(pages[0].get('revisions', ())) >= 2, 'api revisions: pages without revisions')


@probe
def rest_page(site):
    site.page('/rest.php/v1/page/Beta', 'Beta links to')


@probe
def rest_history(site):
    site.page('/rest.php/v1/page/Beta/history', '"comment":"second"')


@probe
def history(site):
    site.page('/index.php?title=Beta&action=history', 'second')


@probe
def what_links_here(site):
    site.page('/index.php/Special:WhatLinksHere/Beta', '>Alpha</a>')


@probe
def backlinks(site):
    found = site.api(action='query', list='backlinks', bltitle='Beta', bllimit=50)['query']['backlinks']
    need(any(p['title'] == 'Alpha' for p in found), 'api backlinks: Alpha is not there')


@probe
def links_here(site):
    page = site.api(action='query', prop='linkshere|transcludedin|fileusage', titles='Beta|Template:Box')['query']['pages']
    need(any('linkshere' in p for p in page), 'api linkshere: none')
    need(any('transcludedin' in p for p in page), 'api transcludedin: none')
    page = site.api(action='query', prop='linkshere|transcludedin', titles='Beta|Template:Box', lhnamespace=0, tinamespace=0)['query']['pages']
    need(any('linkshere' in p for p in page), 'api linkshere of a namespace: none')


@probe
def all_links(site):
    need(site.api(action='query', list='alllinks', allimit=50)['query']['alllinks'], 'api alllinks: none')
    need(site.api(action='query', list='alltransclusions', atlimit=50)['query']['alltransclusions'], 'api alltransclusions: none')


@probe
def out_links(site):
    page = site.api(action='query', prop='links|templates|categories|extlinks|images', titles='Alpha')['query']['pages'][0]
    for name in ('links', 'templates', 'categories', 'extlinks', 'images'):
        need(page.get(name), f'api {name} of Alpha: none')


@probe
def category(site):
    found = site.api(action='query', list='categorymembers', cmtitle='Category:Letters', cmsort='timestamp')['query']['categorymembers']
    need(len(found) >= 2, 'categorymembers: too few')
    site.page('/index.php/Category:Letters', '>Alpha</a>')
    site.page('/index.php/Special:Categories', 'Letters')


@probe
def external_links(site):
    found = site.api(action='query', list='exturlusage', euquery='example.org/alpha')['query']['exturlusage']
    need(any(p['title'] == 'Alpha' for p in found), 'exturlusage: Alpha is not there')


@probe
def recent_changes(site):
    need(len(site.api(action='query', list='recentchanges', rclimit=50, rcprop='title|user|comment|ids')['query']['recentchanges']) >= 3, 'recentchanges: too few')
    site.page('/index.php/Special:RecentChanges?days=90&hidebots=0&hideminor=0', 'mw-changeslist-line')


@probe
def contributions(site):
    need(site.api(action='query', list='usercontribs', ucuser='Admin', uclimit=50)['query']['usercontribs'], 'usercontribs: none')
    site.page('/index.php/Special:Contributions/Admin', 'mw-contributions-list')


@probe
def log(site):
    need(site.api(action='query', list='logevents', letype='protect')['query']['logevents'], 'logevents: none')
    site.page('/index.php/Special:Log/block', 'mw-logline-block')


@probe
def search(site):
    site.api(action='query', list='search', srsearch='alpha')
    site.page('/index.php?title=Special:Search&search=beta&fulltext=1')


@probe
def lists(site):
    site.page('/index.php/Special:AllPages', '>Alpha</a>')
    site.page('/index.php/Special:PrefixIndex/Be', '>Beta</a>')
    site.page('/index.php/Special:ShortPages', ' bytes]')
    site.page('/index.php/Special:NewPages', 'mw-newpages-pagename')
    site.page('/index.php/Special:ListUsers', 'Admin')
    site.page('/index.php/Special:AllMessages')


@probe
def blocks(site):
    found = site.api(action='query', list='blocks', bklimit=50)['query']['blocks']
    need(any(b.get('user') == '203.0.113.9' for b in found), 'blocks: the block is not there')


# --- writers ---


@probe
def login(site):
    site.login()


@probe
def edit(site):
    n = next(counter)
    title = f'Page {n}'
    site.write('edit', title=title, text=f'Page {n} links to [[Beta]] and [[Nowhere {n}]] {{{{Box}}}} [[Category:Letters]] http://example.org/{n}', summary=f'made {n}')
    site.write('edit', title=title, appendtext=' More.', summary=f'more {n}')
    page = site.api(action='query', prop='revisions|links|categories|extlinks|templates', titles=title, rvlimit=10, rvprop='comment|ids|content', rvslots='main', pllimit=50)['query']['pages'][0]
    need([r['comment'] for r in page.get('revisions', ())] == [f'more {n}', f'made {n}'], f'edit: its history is {page.get("revisions")}')
    need(any(link['title'] == f'Nowhere {n}' for link in page.get('links', ())), 'edit: its links are not kept')
    for name in ('categories', 'extlinks', 'templates'):
        need(page.get(name), f'edit: its {name} are not kept')


@probe
def move_and_delete(site):
    n = next(counter)
    site.write('edit', title=f'Old {n}', text='To be moved to [[Alpha]].')
    site.write('move', **{'from': f'Old {n}', 'to': f'New {n}', 'reason': 'moved'})
    site.write('delete', title=f'New {n}', reason='gone')
    site.page(f'/index.php?title=Special:Undelete&target=New+{n}', 'New')
    site.write('undelete', title=f'New {n}', reason='back')
    need('missing' not in site.api(action='query', titles=f'New {n}')['query']['pages'][0], 'undelete: it is not back')


@probe
def rollback(site):
    n = next(counter)
    site.write('edit', title=f'Undone {n}', text='good')
    done = site.write('edit', title=f'Undone {n}', text='bad')
    site.write('edit', title=f'Undone {n}', undo=done['edit']['newrevid'])


@probe
def protect(site):
    n = next(counter)
    site.write('protect', title='Alpha', protections='edit=sysop', expiry=f'20{50 + n % 40}-01-01T00:00:00Z')
    site.write('protect', title='Alpha', protections='edit=all')
    site.write('protect', title=f'Never {n}', protections='create=sysop')


@probe
def block(site):
    user = f'198.51.100.{next(counter) % 250}'
    site.write('block', user=user, expiry='2 days', reason='test', reblock=1)
    found = site.api(action='query', list='blocks', bkusers=user)['query']['blocks']
    need(found, 'block: it is not there')
    site.write('unblock', user=user)


@probe
def watch(site):
    site.api({'token': site.api(action='query', meta='tokens', type='watch')['query']['tokens']['watchtoken'], 'titles': 'Alpha', 'expiry': '2 weeks'}, action='watch')
    need(site.api(action='query', list='watchlistraw')['watchlistraw'] is not None, 'no watchlist')
    site.page('/index.php/Special:Watchlist')


@probe
def account(site):
    n = next(counter)
    token = site.api(action='query', meta='tokens', type='createaccount')['query']['tokens']['createaccounttoken']
    done = site.api({'username': f'Reader {n}', 'password': f'pw long enough {n}', 'retype': f'pw long enough {n}', 'createtoken': token,
                     'createreturnurl': 'http://127.0.0.1/', 'reason': 'test'}, action='createaccount')
    need(done['createaccount']['status'] == 'PASS', f'createaccount: {done}')
    rights = site.api(action='query', meta='tokens', type='userrights')['query']['tokens']['userrightstoken']
    site.api({'user': f'Reader {n}', 'add': 'sysop', 'token': rights}, action='userrights')


def ask(site, probes=None):
    """{probe: what is wrong} of those that fail."""
    wrong = {}
    for f in probes or PROBES:
        try:
            f(site)
        except Failed as e:
            wrong[f.__name__] = str(e)
        except Exception as e:  # an answer of another form than it should have is wrong as well
            wrong[f.__name__] = f'{type(e).__name__}: {e}'
    return wrong
