"""GET /v1/regions: what a sign-in form offers."""

import msgspec
from fastapi import APIRouter, Response

from api.regions import Contact, Region


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


def regions_router(regions: tuple[Region, ...]) -> APIRouter:
    """The routes that tell the regions."""
    router = APIRouter()
    shown = [
        RegionShown(
            code=region.code,
            name=region.name,
            currency=region.currency,
            zone=region.zone,
            contact=region.contact,
            portal_url=region.portal_url,
        )
        for region in regions
    ]
    body = msgspec.json.encode(RegionsShown(data=shown))

    @router.get("/v1/regions")
    async def get_regions() -> Response:
        """The regions that are served here, in the operator's order."""
        return Response(body, media_type="application/json")

    return router
