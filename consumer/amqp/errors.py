"""Translate the exceptions of the AMQP library into `Fatal` and `Retry`: the failure, the object, and the action."""

import asyncio
import ssl

import aiormq
from yarl import URL

from consumer.amqp.topology import user_of, without_password
from consumer.errors import DeedboxError, Exit, Fatal, Retry

LOST = (aiormq.AMQPError, OSError, asyncio.TimeoutError, RuntimeError)


class translate_errors:  # noqa: N801 -- used like a function: `async with translate_errors(...)`
    """Raise Fatal or Retry instead of an exception of the library. `what` names the object of the call."""

    def __init__(self, exit: Exit, what: str) -> None:
        self._exit, self._what = exit, what

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case aiormq.exceptions.ChannelPreconditionFailed():
                raise Fatal(
                    self._exit,
                    f"{self._what} exists with other settings: {text_of(error)}",
                    "change the settings to match it, or set broker.declare: `none` declares nothing and makes no binding, `queue` does not declare the exchange",
                ) from error
            case aiormq.exceptions.ChannelNotFoundEntity():
                raise Fatal(
                    Exit.MISSING,
                    f"{self._what} does not exist: {text_of(error)}",
                    "check its name, create it, or let Deedbox create it: broker.declare = queue creates the queue, all also the exchange",
                ) from error
            case aiormq.exceptions.ChannelAccessRefused():
                raise Fatal(
                    Exit.ACCESS,
                    f"{self._what}: {text_of(error)}",
                    "grant the user configure, write and read permissions on it",
                ) from error
            case aiormq.exceptions.ChannelLockedResource():
                raise Fatal(
                    self._exit,
                    f"{self._what} is exclusive to another connection: {text_of(error)}",
                    "use another queue",
                ) from error
            case aiormq.exceptions.ConnectionCommandInvalid() | aiormq.exceptions.ConnectionNotImplemented():
                raise Fatal(
                    self._exit, f"{self._what}: {text_of(error)}", "check the type and the arguments"
                ) from error
            case TypeError() | ValueError():  # the library cannot encode the call; nothing was sent
                raise Fatal(
                    Exit.SETTINGS, f"{self._what}: {text_of(error)}", "check its name, type and arguments"
                ) from error
            case aiormq.AMQPError() | OSError() | asyncio.TimeoutError() | RuntimeError() | asyncio.CancelledError():
                raise_if_cancelled(error)
                raise Retry(f"{self._what}: {reason_of(error)}") from error


def connection_error(error: BaseException, url: str) -> DeedboxError:
    """Translate a failed connection: Fatal if a person must change something, Retry if a later attempt may succeed."""
    shown = without_password(url)
    match error:
        case aiormq.exceptions.AuthenticationError():
            return Fatal(
                Exit.ACCESS, f"{shown} offers no login mechanism that Deedbox supports", "enable PLAIN at the broker"
            )
        case aiormq.exceptions.ProbableAuthenticationError():
            return Fatal(
                Exit.ACCESS,
                f"{shown} refuses user {user_of(url)!r}",
                "check user and password in broker.url or broker.password",
            )
        case aiormq.exceptions.InvalidFrameError() if "OpenOk" in str(error):
            # The library reports only that it got another frame than connection.open-ok.
            vhost = URL(url).path.removeprefix("/") or "/"
            return Fatal(
                Exit.VHOST,
                f"{shown} has no virtual host {vhost!r}, or the user may not use it",
                "create it, grant access to it, or change the path of broker.url",
            )
        case ssl.SSLCertVerificationError():
            return Fatal(
                Exit.ACCESS,
                f"{shown}: certificate: {error.verify_message}",
                "set broker.ca_file to the certificate of the authority that signed it",
            )
    return Retry(f"{shown}: {reason_of(error)}")


def raise_if_cancelled(error: BaseException) -> None:
    """Raise the error if this task was cancelled. The library raises the same error when a channel closes during a call."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error


def text_of(error: BaseException) -> str:
    """Return the text that the broker sent."""
    return str(error.args[0]) if error.args else type(error).__name__


def reason_of(error: BaseException) -> str:
    """Return the most specific text of the error."""
    if isinstance(error, aiormq.exceptions.PublishError):
        reply, routing_key = error.args[:2]
        return f"{reply}: no queue accepts routing key {routing_key!r}"
    texts = [argument for argument in error.args if isinstance(argument, str) and argument]
    return texts[-1] if texts else type(error).__name__
