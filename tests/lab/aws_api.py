"""The AWS end of the lab: HTTP in, one checked call, an answer in AWS's own form.

Every request has its signature and its shape checked before anything is done.
A call then goes to the lab's own handler, where there is one (moto's would
accept what AWS refuses, or know less), else to moto. Moto is not thread-safe:
one lock holds everything that reads or changes its state.
"""
import email.utils
import http.server
import io
import json
import random
import socket
import socketserver
import struct
import threading
import time
import traceback
import urllib.parse
import uuid

from moto.core.serialize import SERIALIZERS
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

import signature
import strict
from errors import ApiError, Hangup
from faults import Faults

ACCOUNT = '123456789012'
REGION = 'eu-central-1'
MAX_BODY = 8 << 20


class Request:
    """One HTTP request: method, target (as sent), path, query, headers (lower case), body."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path, _, self.query = target.partition('?')


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.cut = None  # send only this many bytes of the body, then close


def error_answer(request, service, error):
    """An ApiError in the form of the protocol that the request spoke."""
    if 'x-amz-target' in request.headers or service == 'scheduler':
        version = '1.0' if service == 'monitoring' else '1.1'
        headers = {'Content-Type': 'application/x-amz-json-' + version, 'x-amzn-errortype': error.code}
        return Answer(error.status, headers, json.dumps({'__type': error.code, 'message': error.message}).encode())
    name = strict.SERVICES.get(service, 'sts')
    space = strict.model(name).metadata.get('xmlNamespace', '')
    text = error.message.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
    body = (f'<ErrorResponse xmlns="{space}"><Error><Type>Sender</Type><Code>{error.code}</Code>'
            f'<Message>{text}</Message></Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>')
    return Answer(error.status, {'Content-Type': 'text/xml'}, body.encode())


class Api:
    """Handlers by (service, action) get (call, api) and give a result dict, or None
    to let moto answer. `after` hooks run when moto has answered."""

    def __init__(self, journal=None):
        self.keys, self.handlers, self.after = {}, {}, {}
        self.faults, self.lock = Faults(), threading.RLock()
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.journal, self.journal_lock = journal, threading.Lock()
        self.calls, self.bugs, self.regions, self.guards = {}, [], {REGION}, []

    def new_key(self, who, session=False, expires=None):
        token = 'lab-' + uuid.uuid4().hex * 4 if session else None
        key_id = ('ASIA' if session else 'AKIA') + ''.join(random.choices('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', k=16))
        key = signature.Key(who, key_id, uuid.uuid4().hex + uuid.uuid4().hex[:8], token, expires)
        self.keys[key.id] = key
        return key

    def handle(self, request):
        note = {'t': round(time.time(), 3)}
        service = ''
        try:
            note['refused'] = 'signature'
            key, region, service = signature.verify(request, self.keys)
            note.update(who=key.who, service=service)
            if region not in self.regions:
                raise ApiError('SignatureDoesNotMatch', f"Credential should be scoped to a valid region, not '{region}'", 403)
            note['refused'] = 'shape'
            call = strict.parse(service, request)
            del note['refused']
            call.who = key.who
            note['action'] = call.action
            return self.answer(request, call, note)
        except ApiError as e:
            note['error'] = str(e)[:2000]
            return error_answer(request, service, e)
        except Hangup:
            note.setdefault('fault', 'reset')
            raise
        except Exception as e:  # ours: shown in the journal, and a run with bugs is no good run
            note['bug'] = traceback.format_exc()
            self.bugs.append(repr(e))
            return error_answer(request, service, ApiError('InternalFailure', f'the lab failed: {e!r}', 500))
        finally:
            self.note(note)

    def answer(self, request, call, note):
        kind, rule = self.faults.pick(call.who, call.service, call.action)
        if kind:
            note['fault'] = kind
        if kind == 'throttle':
            raise ApiError('ThrottlingException' if call.protocol != 'query' else 'Throttling', 'Rate exceeded')
        if kind == 'error':
            raise ApiError('InternalFailure', 'We encountered an internal error. Please try again.', 500)
        if kind == 'reset':
            raise Hangup()
        if kind == 'slow':
            time.sleep(rule['delay'])
        for guard in self.guards:  # raise ApiError: who may do this?
            guard(call)
        answer = self.perform(request, call, note)
        if kind == 'lost':
            raise Hangup()
        if kind == 'truncate':
            answer.cut = len(answer.body) // 2
        return answer

    def perform(self, request, call, note):
        note['params'] = call.params
        with self.lock:
            handler = self.handlers.get((call.service, call.action))
            result = handler(call) if handler else None
            if result is not None:
                answer = self.serialize(call, result)
            else:
                answer = self.ask_moto(request)
                hook = self.after.get((call.service, call.action))
                if hook and answer.status < 300:
                    hook(call)
        note['status'] = answer.status
        return answer

    def serialize(self, call, result):
        made = SERIALIZERS[call.protocol](call.op).serialize(result)
        body = made['body']
        return Answer(made['status_code'], {k: v for k, v in made['headers'].items() if k.lower() != 'content-length'},
                      body if isinstance(body, bytes) else body.encode())

    def ask_moto(self, request):
        env = {'REQUEST_METHOD': request.method, 'SCRIPT_NAME': '', 'PATH_INFO': urllib.parse.unquote(request.path),
               'QUERY_STRING': request.query, 'RAW_URI': request.target, 'REQUEST_URI': request.target,
               'SERVER_NAME': '127.0.0.1', 'SERVER_PORT': '80', 'SERVER_PROTOCOL': 'HTTP/1.1', 'REMOTE_ADDR': '127.0.0.1',
               'CONTENT_LENGTH': str(len(request.body)), 'CONTENT_TYPE': request.headers.get('content-type', ''),
               'wsgi.version': (1, 0), 'wsgi.url_scheme': 'http', 'wsgi.input': io.BytesIO(request.body),
               'wsgi.errors': io.StringIO(), 'wsgi.multithread': True, 'wsgi.multiprocess': False, 'wsgi.run_once': False}
        for name, value in request.headers.items():
            if name not in ('content-type', 'content-length', 'transfer-encoding'):
                env['HTTP_' + name.upper().replace('-', '_')] = value
        got = {}

        def start(status, headers, exc_info=None):
            got['status'], got['headers'] = int(status.split()[0]), dict(headers)
        body = b''.join(self.moto(env, start))
        headers = {k: v for k, v in got['headers'].items() if k.lower() in ('content-type', 'x-amzn-errortype')}
        return Answer(got['status'], headers, body)

    def note(self, note):
        with self.journal_lock:
            name = (note.get('who', '?'), note.get('action', '?'))
            self.calls[name] = self.calls.get(name, 0) + 1
            if self.journal:
                self.journal.write(json.dumps(note, default=str) + '\n')
                self.journal.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = 60
    server_version, sys_version = 'lab', ''
    wbufsize = -1
    disable_nagle_algorithm = True

    def read_body(self):
        if self.headers.get('Transfer-Encoding', '').lower() == 'chunked':
            return self.read_chunks()
        size = int(self.headers.get('Content-Length') or 0)
        if size > MAX_BODY:
            raise ValueError('body too large')
        return self.rfile.read(size)

    def read_chunks(self):
        parts = []
        while size := int(self.rfile.readline().split(b';')[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b''.join(parts)

    def do_any(self):
        headers = {}
        for name, value in self.headers.items():
            name = name.lower()
            headers[name] = headers[name] + ',' + value if name in headers else value
        try:
            request = Request(self.command, self.path, headers, self.read_body())
            answer = self.server.api.handle(request)
        except Hangup:
            self.reset()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header('x-amzn-RequestId', str(uuid.uuid4()))
        self.send_header('Content-Length', str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[:answer.cut])
        self.close_connection = self.close_connection or answer.cut is not None

    do_GET = do_POST = do_PUT = do_DELETE = do_any

    def reset(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.connection._real_close()  # close() would wait for rfile and wfile, and send a FIN

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass  # the client, or a fault, has closed it

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(timestamp, usegmt=True)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, request_queue_size = True, 128

    def __init__(self, api, port=0):
        super().__init__(('127.0.0.1', port), Handler)
        self.api = api
        self.url = f'http://127.0.0.1:{self.server_address[1]}'
        threading.Thread(target=self.serve_forever, kwargs={'poll_interval': 0.1}, daemon=True, name='api').start()

    def handle_error(self, request, client_address):
        pass  # Api.handle has noted it; the client sees the closed connection

    def server_bind(self):  # without the base's look-up of the machine's name
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]
