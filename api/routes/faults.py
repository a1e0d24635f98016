"""What goes wrong with passwords and codes, as the problems it is answered with."""

from collections.abc import Iterator
from contextlib import contextmanager

from api.entering import unauthenticated
from api.problems import Problem, invalid_field
from api.security.own_login import (
    SecondFactorExists,
    SecondFactorMissing,
    SessionOver,
    UnfitPassword,
    WrongPassword,
)
from api.security.passwords import PoolFull
from api.security.sign_in import SecondFactorFailed, Throttled

BUSY_RETRY_S = 2


def throttled(fault: Throttled) -> Problem:
    """Too many tries."""
    wait = {"Retry-After": str(fault.wait_s)}
    return Problem("too_many_requests", str(fault), headers=wait)


def busy() -> Problem:
    """Too many passwords to hash."""
    wait = {"Retry-After": str(BUSY_RETRY_S)}
    return Problem("overloaded", "too many passwords to look at: try again", headers=wait)


@contextmanager
def as_problems(new_password: str = "/new_password") -> Iterator[None]:
    """Raises the Problem of what is raised within; `new_password` is the pointer to one."""
    try:
        yield
    except Throttled as fault:
        raise throttled(fault) from None
    except PoolFull:
        raise busy() from None
    except SessionOver:
        raise unauthenticated() from None
    except WrongPassword:
        raise Problem("wrong_password", "the current password is another one") from None
    except SecondFactorFailed:
        raise Problem("wrong_code", "the code is wrong, or was used before") from None
    except SecondFactorExists:
        says = "remove the second factor there is before you start another"
        raise Problem("second_factor_exists", says) from None
    except SecondFactorMissing:
        raise Problem("second_factor_missing", "start one first, with POST") from None
    except UnfitPassword as fault:
        raise invalid_field(new_password, str(fault), fault.code) from None
