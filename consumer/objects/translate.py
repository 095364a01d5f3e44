"""From the errors of obstore to those of `consumer.objects.errors`.

obstore has a class for a few kinds of failure only, so that the status and the code of the answer are read from the text of the error.
Source of the codes: "Error responses" in the Amazon S3 API reference.
"""

import re

from consumer.objects.errors import (
    AccessDenied,
    AlreadyThere,
    BucketMissing,
    NotFound,
    ObjectError,
    PermissionNeeded,
    TimedOut,
    Unavailable,
    Unreachable,
)
from consumer.objects.url import ObjectUrl

_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]+)</Code>")
_KIND = re.compile(r"kind: (Timeout|Connect|Interrupted|Request|Decode)\b")
_BROKEN = {
    "Connect": "no connection to the storage",
    "Interrupted": "the connection to the storage broke",
    "Request": "the request to the storage failed",
    "Decode": "the answer of the storage cannot be read",
}
_RANGE = re.compile(r"Wanted range starting at|Range started at|InvalidRange")

_METADATA = re.compile(r"/latest/(api/token|meta-data)")  # where a machine in the cloud gets its credentials
_REGION = re.compile(r"redirect without LOCATION|AuthorizationHeaderMalformed|PermanentRedirect")

_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w+)")

_SKEWED = {"RequestTimeTooSkewed", "RequestExpired"}
_CREDENTIALS = {
    "SignatureDoesNotMatch": ("the secret key is wrong", "check objects.secret_key or AWS_SECRET_ACCESS_KEY"),
    "InvalidAccessKeyId": ("the access key is unknown", "check objects.access_key or AWS_ACCESS_KEY_ID"),
    "ExpiredToken": ("the credentials have expired", "renew them"),
}


class ForeignKey(ObjectError):
    """A listing has a key that obstore refuses. Another program made it."""


class OutOfRange(ObjectError):
    """The range begins after the end of the object."""


def translated(url: ObjectUrl, error: Exception) -> ObjectError:
    """The error of the same meaning, with the action that resolves it."""
    text = str(error)
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    code = found[1] if (found := _CODE.search(text)) else ""
    if _METADATA.search(text):
        what = "no credentials are set, and this machine has no role"
        return AccessDenied(
            url, what, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or objects.access_key and objects.secret_key"
        )
    if code == "NoSuchBucket":
        return BucketMissing(url, f"there is no bucket {url.bucket!r}", "create it, or correct the URL")
    if status == 416 or _RANGE.search(text):
        return OutOfRange(url, "the range begins after the end of the object")
    if "Encountered object with invalid path" in text:
        do = "remove the objects of other programs, or use another prefix"
        return ForeignKey(url, "the listing has a key with an empty part, '.', '..' or a control character", do)
    if isinstance(error, FileNotFoundError):
        return NotFound(url, "there is no object of this name")
    if _REGION.search(text):
        return ObjectError(url, "the bucket is in another region", "set objects.region or AWS_REGION")
    return _by_class(url, error) or _refused(url, status, code) or _passing(url, status, text)


def _by_class(url: ObjectUrl, error: Exception) -> ObjectError | None:
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    if isinstance(error, AlreadyExistsError | PreconditionError):
        return AlreadyThere(url, "an object of this name exists")
    return None


def _refused(url: ObjectUrl, status: int, code: str) -> ObjectError | None:
    """The error of an answer that refuses the credentials or the permission."""
    if code in _SKEWED:
        return AccessDenied(url, "the clock of this machine is wrong", "set the clock, for example with NTP")
    if code in _CREDENTIALS:
        return AccessDenied(url, *_CREDENTIALS[code])
    if status in (401, 403):
        what = f"access denied ({status}{f' {code}' if code else ''})"
        return PermissionNeeded(url, what, "check the credentials, their permissions, and the clock of this machine")
    return None


def _passing(url: ObjectUrl, status: int, text: str) -> ObjectError:
    """The error of a failure that was retried in vain, and of everything else."""
    if status in (429, 500, 502, 503, 504):
        return Unavailable(url, f"the storage answers with status {status}, also to retries", "look at the storage")
    if found := _CERTIFICATE.search(text):
        what = f"the certificate of the storage is not trusted ({found[1]})"
        return ObjectError(
            url, what, "if it is of an authority of your own, name the file of the authority in SSL_CERT_FILE"
        )
    kind = found[1] if (found := _KIND.search(text)) else ""
    if kind == "Timeout":
        do = "check the network and the storage; on a slow line raise objects.timeout_s or lower objects.parts"
        return TimedOut(url, "no answer in time", do)
    if kind:
        return Unreachable(url, _BROKEN[kind], "check the endpoint, the network and the storage")
    return ObjectError(url, text.partition("\n")[0])
