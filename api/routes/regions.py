"""GET /v1/regions: what a sign-in form offers."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.operations import JSON, Operation
from api.regions import Contact, Region
from api.security.scope import PUBLIC


class RegionShown(msgspec.Struct, frozen=True):
    """A region as anybody may see it."""

    code: str
    name: str
    currency: str
    zone: str
    contact: Contact
    portal_url: str


class RegionsShown(msgspec.Struct, frozen=True):
    """The regions that are served here."""

    data: list[RegionShown]


def region_operations(regions: tuple[Region, ...]) -> list[Operation]:
    """The operations that tell the regions."""

    async def handle(request: Request) -> Response:
        shown = [_shown(region) for region in regions]
        return Response(msgspec.json.encode(RegionsShown(data=shown)), media_type=JSON)

    return [
        Operation(
            method="GET",
            path="/v1/regions",
            name="list_regions",
            says="The regions that are served here",
            details="In the operator's order: what a sign-in form offers.",
            tag="public",
            permission=PUBLIC,
            handle=handle,
            replies={200: RegionsShown},
        )
    ]


def _shown(region: Region) -> RegionShown:
    return RegionShown(
        code=region.code,
        name=region.name,
        currency=region.currency,
        zone=region.zone,
        contact=region.contact_on(region.today()),
        portal_url=region.portal_url,
    )
