"""The second factor: a time-based code (RFC 6238: SHA-1, six digits, 30 s), or a recovery code."""

import re
import secrets
from hashlib import sha256
from hmac import compare_digest

import msgspec
import pyotp

STEP_S = 30
STEPS_EITHER_SIDE = 1
"""Clocks of phones are off by a little, and people type slowly."""
RECOVERY_CODES = 8
_RECOVERY_CHARS = 16
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_RECOVERY_CODE = re.compile(rf"[{_ALPHABET}]{{{_RECOVERY_CHARS}}}", re.ASCII)


class SecondFactor(msgspec.Struct, frozen=True):
    """What a login's codes are checked by; `last_step` is that of the last code taken."""

    secret: str
    last_step: int


class Proof(msgspec.Struct, frozen=True):
    """What a right code comes to: a step, to be used up, or a recovery code that may exist."""

    step: int | None = None
    recovery_sha256: bytes | None = None


def new_secret() -> str:
    """A fresh secret of 160 bits, as RFC 4226 recommends, in base 32."""
    return pyotp.random_base32()


def otpauth_uri(secret: str, *, account: str, issuer: str) -> str:
    """What a phone reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def proof_of(factor: SecondFactor, code: str, now_s: float) -> Proof | None:
    """What the code proves at this second since 1970; None when it is wrong or was used before.

    That a recovery code exists and is unused only the database can tell.
    """
    typed = re.sub(r"[\s-]", "", code).lower()
    if _RECOVERY_CODE.fullmatch(typed):
        return Proof(recovery_sha256=recovery_digest(typed))
    if not _CODE.fullmatch(typed):
        return None
    this_step = int(now_s) // STEP_S
    for step in range(this_step - STEPS_EITHER_SIDE, this_step + STEPS_EITHER_SIDE + 1):
        if step > factor.last_step and compare_digest(code_at(factor.secret, step), typed):
            return Proof(step=step)
    return None


def code_at(secret: str, step: int) -> str:
    """The code of a time-step."""
    return pyotp.TOTP(secret, interval=STEP_S).at(step * STEP_S)


def new_recovery_codes() -> list[str]:
    """Fresh codes of 80 bits, in groups of four, to be shown once."""
    made = [
        "".join(secrets.choice(_ALPHABET) for _ in range(_RECOVERY_CHARS))
        for _ in range(RECOVERY_CODES)
    ]
    return ["-".join(code[i : i + 4] for i in range(0, _RECOVERY_CHARS, 4)) for code in made]


def recovery_digest(code: str) -> bytes:
    """What the database knows a recovery code by, hyphens or not."""
    return sha256(code.replace("-", "").encode()).digest()
