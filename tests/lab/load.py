"""Readers and editors of the wiki, and the record of what they saw.

    load.py URL EDITORS_FILE OUT RATE

Readers open pages, the REST API and the API; editors log in once and keep
editing sandboxes in one session, whichever colour answers. Every request is a line
of OUT: t, kind, status (0: no answer), ms, colour, ok, and for an edit its summary
and MediaWiki-API-Error. Requests are due by the clock: a slow wiki does not slow
its readers down, up to the number of readers there are.
"""
import http.client
import json
import random
import signal
import sys
import threading
import time
import urllib.parse

READERS, TIMEOUT = 12, 20
PAGES = 40
KINDS = (('page', 8), ('rest', 5), ('api', 5))


class Record:
    def __init__(self, path):
        self.file, self.lock = open(path, 'w', buffering=1), threading.Lock()

    def write(self, **line):
        with self.lock:
            self.file.write(json.dumps(line) + '\n')


class Browser:
    """One user: a connection that is kept, and cookies."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port, self.cookies, self.connection = parts.hostname, parts.port, {}, None

    def request(self, path, form=None):
        """(status, colour, API error, body, ms); status 0 when there was no answer."""
        began = time.time()
        headers = {'User-Agent': 'lab-user'}
        if self.cookies:
            headers['Cookie'] = '; '.join(f'{k}={v}' for k, v in self.cookies.items())
        body = None
        if form is not None:
            body, headers['Content-Type'] = urllib.parse.urlencode(form), 'application/x-www-form-urlencoded'
        try:
            response, content = self.exchange(path, body, headers)
        except (OSError, http.client.HTTPException):
            self.connection = None
            return 0, '', '', b'', (time.time() - began) * 1000
        for cookie in response.headers.get_all('Set-Cookie') or []:
            name, _, value = cookie.split(';')[0].partition('=')
            self.cookies[name.strip()] = value
        return (response.status, response.headers.get('X-Lab-Server', ''), response.headers.get('MediaWiki-API-Error', ''),
                content, (time.time() - began) * 1000)

    def exchange(self, path, body, headers):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        self.connection.request('POST' if body is not None else 'GET', path, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.will_close:
            self.connection.close()
            self.connection = None
        return response, content


class Clock:
    """Hands out due times at a mean rate, to whoever asks next."""

    def __init__(self, rate):
        self.rate, self.next, self.lock = rate, time.time(), threading.Lock()

    def take(self):
        with self.lock:
            self.next = max(self.next, time.time() - 1) + random.expovariate(self.rate)
            return self.next


def path_of(kind):
    n = random.randint(1, PAGES)
    return {'page': f'/index.php/Page_{n}', 'rest': f'/rest.php/v1/page/Page_{n}',
            'api': '/api.php?action=query&meta=siteinfo&siprop=general&format=json'}[kind]


def read(url, record, clock, stop):
    browser = Browser(url)
    kinds = [k for k, n in KINDS for _ in range(n)]
    while not stop.is_set():
        due = clock.take()
        if stop.wait(max(0, due - time.time())):
            return
        kind, began = random.choice(kinds), time.time()
        status, colour, error, _, ms = browser.request(path_of(kind))
        record.write(t=round(began, 3), kind=kind, status=status, ms=round(ms, 1), colour=colour,
                     ok=status == 200 and not error)


class Editor:
    def __init__(self, url, name, password, record):
        self.browser, self.name, self.password, self.record = Browser(url), name, password, record
        self.token, self.number, self.error = None, 0, ''

    def api(self, kind, query, form=None, summary=None):
        """The parsed answer, {} when it is no success; recorded."""
        began = time.time()
        status, colour, error, body, ms = self.browser.request('/api.php?format=json&formatversion=2&' + query, form)
        try:
            answer = json.loads(body) if status == 200 and not error else {}
        except ValueError:
            answer = {}
        ok = bool(answer) and (kind != 'edit' or answer.get('edit', {}).get('result') == 'Success')
        line = dict(t=round(began, 3), kind=kind, status=status, ms=round(ms, 1), colour=colour, ok=ok, who=self.name)
        if error:
            line['error'] = self.error = error
        if summary:
            line['summary'] = summary
        self.record.write(**line)
        return answer if ok else {}

    def login(self):
        token = self.api('token', 'action=query&meta=tokens&type=login').get('query', {}).get('tokens', {}).get('logintoken')
        if not token:
            return
        answer = self.api('login', 'action=clientlogin&loginreturnurl=http://127.0.0.1/',
                          {'logintoken': token, 'username': self.name, 'password': self.password})
        if answer.get('clientlogin', {}).get('status') == 'PASS':
            got = self.api('token', 'action=query&meta=tokens')
            self.token = got.get('query', {}).get('tokens', {}).get('csrftoken')

    def edit(self):
        self.number += 1
        summary = f'lab edit {self.name} {self.number}'
        self.error = ''
        self.api('edit', 'action=edit', {'title': 'Sandbox ' + self.name[-1], 'summary': summary, 'token': self.token,
                                         'text': f'Edit {self.number} by {self.name}, {random.random()}.',
                                         'assert': 'user'}, summary)
        if self.error in ('badtoken', 'assertuserfailed'):  # the session is gone: as a person would
            self.token = None


def write(editor, stop):
    while not stop.wait(random.uniform(1.0, 2.0)):
        if editor.token is None:
            editor.login()
        else:
            editor.edit()


def main():
    url, editors, out, rate = sys.argv[1:]
    record, stop, clock = Record(out), threading.Event(), Clock(float(rate))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [threading.Thread(target=read, args=(url, record, clock, stop)) for _ in range(READERS)]
    with open(editors) as f:
        for line in f:
            name, password = line.split()
            threads.append(threading.Thread(target=write, args=(Editor(url, name, password, record), stop)))
    for thread in threads:
        thread.start()
    while not stop.wait(1):
        pass
    for thread in threads:
        thread.join()


if __name__ == '__main__':
    main()
