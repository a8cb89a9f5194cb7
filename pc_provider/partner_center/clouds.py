"""
Microsoft's clouds that Partner Center serves.

Source: Partner Center developer pages, "Partner Center authentication"; the audiences of workload tokens are from
Microsoft Entra's page on workload identity federation.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CLOUDS", "Cloud"]


class Cloud(NamedTuple):
    """
    One cloud: the base address of its Partner Center API (also the audience of its access tokens), its sign-in
    authority, and the audience that tokens of other issuers must have there.
    """

    api: str
    authority: str
    federation_audience: str


_GLOBAL_API = "https://api.partnercenter.microsoft.com"

CLOUDS = {
    "global": Cloud(_GLOBAL_API, "https://login.microsoftonline.com", "api://AzureADTokenExchange"),
    "usgov": Cloud(_GLOBAL_API, "https://login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
    "china": Cloud(
        "https://partner.partnercenterapi.microsoftonline.cn",
        "https://login.chinacloudapi.cn",
        "api://AzureADTokenExchangeChina",
    ),
}
