"""The list of month ends over HTTP."""

import asyncio
import json
from contextlib import closing
from typing import Any

from api.app import create_app
from api.embedded import EmbeddedServer
from api.security.logins import Registrar
from api.security.scope import SCOPES
from api.wiring import Doors
from tests.api.books import TOKENS
from tests.api.conftest import REGIONS, fresh_database
from tests.api.in_process import Sent, in_process

PERIODS = ["2020-05", "2020-04", "2020-03", "2020-02", "2020-01"]


def test_month_ends_are_listed_page_by_page(server: EmbeddedServer) -> None:
    """The latest month first, each once whatever the length of a page; a cursor that the list did not
    give out is refused."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(TOKENS["us"], "all", SCOPES)
    with closing(database.month_ends()) as month_ends:
        for period in PERIODS[::-1]:
            month_ends.ask(period, None, actor="t", today=database.today())

    async def work() -> None:
        app = create_app(Doors((database,)))
        async with in_process(app) as asking:

            async def ask(query: str) -> tuple[int, Any]:
                headers = [(b"authorization", f"Bearer {TOKENS['us']}".encode())]
                got = await asking.ask(
                    Sent("GET", b"/v1/month-ends", query.encode(), headers=headers)
                )
                return got.status, json.loads(got.body)

            status, whole = await ask("")
            assert (200, None, PERIODS) == (
                status,
                whole["next_cursor"],
                [run["period"] for run in whole["data"]],
            )
            found, cursor = [], ""
            for length in (2, 2, 1):
                _, page = await ask(f"limit=2{cursor}")
                assert length == len(page["data"])
                found += page["data"]
                cursor = f"&cursor={page['next_cursor']}"
            assert page["next_cursor"] is None
            assert whole["data"] == found
            for wrong in ("limit=0", "cursor=AAAA.BBBB", "period=2020-01"):
                status, problem = await ask(wrong)
                assert (422, "invalid_request") == (status, problem["code"])

    asyncio.run(work())
