"""Invoices and statements of account as PDF, below an account's path: read, then typeset elsewhere."""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Annotated, NamedTuple
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.account_reads import (
    ACCOUNT,
    CACHE_CONTROL,
    HEADERS,
    AccountReader,
    Reading,
    matches,
)
from api.database import TooSlow
from api.documents.content import Document, Invoice, Statement
from api.documents.pool import TookTooMuch, Typesetters, TypesettersBusy
from api.documents.revision import revision
from api.doors import RegionDoor
from api.operations import Operation
from api.parameters import Parameter
from api.problems import Problem, invalid_query
from api.routes import statement
from api.routes.document_content import gather_invoice, gather_statement
from api.security.scope import READ_ACCOUNT

PDF = "application/pdf"
BUSY_RETRY_S = 2
CONTENT_BYTES_MAX = 4_000_000
"""Of what a document says: 5,000 lines with the longest descriptions in ASCII."""

Pdf = Annotated[str, msgspec.Meta(extra_json_schema={"contentMediaType": PDF})]
"""Bytes of a PDF, as a schema says it."""
Gather = Callable[[Reading, bytes], Awaitable[Document]]

_encode = msgspec.json.Encoder().encode


class _Gathered(NamedTuple):
    """What a document says, as JSON, what its file is called, how fresh it is, and who asks."""

    content: bytes
    file: str
    read_at: str
    principal: UUID

    @property
    def tag(self) -> str:
        """The ETag: of what the document says and of how this release says it."""
        return f'"{sha256(self.content + revision().encode()).hexdigest()}"'


def document_operations(
    doors: Mapping[str, RegionDoor], typesetters: Typesetters
) -> list[Operation]:
    """The operations of documents, to be found before those whose paths these fit too."""

    async def invoice(reading: Reading, key: bytes) -> Document:
        return await gather_invoice(reading, doors[reading.region].region)

    async def account(reading: Reading, key: bytes) -> Document:
        return await gather_statement(reading, key, doors[reading.region].region)

    def operation(
        path: str,
        name: str,
        says: str,
        details: str,
        known: Mapping[str, Parameter],
        gather: Gather,
    ) -> Operation:
        return Operation(
            method="GET",
            path=ACCOUNT + path,
            name=name,
            says=says,
            details=details,
            tag="documents",
            permission=READ_ACCOUNT,
            handle=_DocumentRead(doors, known, gather, typesetters),
            replies={200: Pdf, 304: None},
            reply_type=PDF,
            parameters=known,
            headers=HEADERS,
            problems=(401, 403, 404, 422, 503),
        )

    return [
        operation(
            "/invoices/{number}.pdf",
            "get_invoice_pdf",
            "An invoice as a document",
            "As it was issued: what was known then, and the settings in force that day, decide "
            "what it says. What happened to it later does not.",
            {},
            invoice,
        ),
        operation(
            "/statement.pdf",
            "get_statement_pdf",
            "Statement of account as a document",
            "What the statement says for the same parameters.",
            statement.PARAMETERS,
            account,
        ),
    ]


class _DocumentRead:
    """Answers GET requests of a document. It is typeset once the read is over: that takes longer."""

    def __init__(
        self,
        doors: Mapping[str, RegionDoor],
        known: Mapping[str, Parameter],
        gather: Gather,
        typesetters: Typesetters,
    ) -> None:
        self._reader = AccountReader(doors, READ_ACCOUNT, known)
        self._gather = gather
        self._typesetters = typesetters

    async def __call__(self, request: Request) -> Response:
        async def gathered(reading: Reading, key: bytes) -> _Gathered:
            document = await self._gather(reading, key)
            content = _encoded(document)
            return _Gathered(content, _file_of(document), reading.read_at, reading.principal)

        found = await self._reader.read(request, gathered)
        headers = {
            "ETag": found.tag,
            "Cache-Control": CACHE_CONTROL,
            "Ledger-Position": found.read_at,
        }
        if matches(request.headers.get("if-none-match"), found.tag):
            return Response(status_code=304, headers=headers)
        try:
            pdf = await self._typesetters.pdf(found.content, found.principal)
        except TypesettersBusy as busy:
            wait = {"Retry-After": str(BUSY_RETRY_S)}
            raise Problem("overloaded", f"{busy}: try again", headers=wait) from None
        except TookTooMuch as fault:
            raise TooSlow from fault
        headers["Content-Disposition"] = f'inline; filename="{found.file}"'
        return Response(pdf, headers=headers, media_type=PDF)


def _encoded(document: Document) -> bytes:
    """The document's content; of an invoice with more text than can be set, what can.

    Raises Problem (422) for a statement with so much.
    """
    content = _encode(document)
    if len(content) <= CONTENT_BYTES_MAX:
        return content
    if isinstance(document, Statement):
        raise invalid_query("from", "more text than a document holds: ask for fewer days")
    content = _encode(msgspec.structs.replace(document, lines=None))
    if len(content) <= CONTENT_BYTES_MAX:
        return content
    return _encode(msgspec.structs.replace(document, lines=None, categories=[]))


def _file_of(document: Document) -> str:
    """A file name that every system takes: ids hold nothing else that one would not."""
    account = document.customer.account_number
    if isinstance(document, Invoice):
        name = document.number
    else:
        name = f"{account}-{document.first_on}-{document.last_on}"
    return f"{name.replace(':', '-')}.pdf"
