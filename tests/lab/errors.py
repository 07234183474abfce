"""The one error the lab's AWS end answers with, and the other ways to answer."""


class ApiError(Exception):
    """An AWS error: code, message and HTTP status."""

    def __init__(self, code, message, status=400):
        super().__init__(f'{code}: {message}')
        self.code, self.message, self.status = code, message, status


class Hangup(Exception):
    """Answer with a TCP reset."""


def invalid(message):
    return ApiError('ValidationError', message)
