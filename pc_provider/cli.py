"""The ``pc-provider`` command. What each command does is in a module of its own, imported when it runs."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["main"]

Command = Callable[..., None]


def _plain_errors(command: Command) -> Command:
    """Shows what went wrong as a message for a person, and exits with 1."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        from pc_provider.partner_center.errors import PartnerCenterError

        try:
            command(*args, **kwargs)
        except PartnerCenterError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            sys.exit(130)

    return run


PORT = click.IntRange(0, 65535)

_stack = click.option("--stack", "-s", metavar="NAME", help="The stack to read; otherwise the selected one.")
_partner = click.option("--partner", metavar="NAME", help="An entry of partnercenter:partners.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pc-provider")
def main() -> None:
    """Partner Center subscription upgrades for Pulumi: the commands beside `pulumi`."""


@main.command()
@click.option(
    "--port",
    type=PORT,
    default=8787,
    show_default=True,
    help="The port to listen on; 0 takes a free one.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that holds what it knows; without one it forgets everything at its end.",
)
@click.option("--tls", is_flag=True, help="Serve https with a certificate of its own; prints its CA file.")
@_plain_errors
def emulator(port: int, state: Path | None, tls: bool) -> None:
    """Play Partner Center and its sign-in on this machine."""
    from pc_provider.emulator import serve

    serve(port=port, state=state, tls=tls)


@main.command()
@_stack
@_partner
@click.option("--device-code", is_flag=True, help="Show a code to enter in a browser on any machine.")
@click.option(
    "--port",
    type=PORT,
    default=0,
    help="The port of the redirect to this machine; 0 takes a free one.",
)
@click.option("--print", "print_token", is_flag=True, help="Print the refresh token instead of storing it.")
@_plain_errors
def login(stack: str | None, partner: str | None, device_code: bool, port: int, print_token: bool) -> None:
    """Consent once, with MFA, and store the refresh token as a secret of the stack."""
    from pc_provider.login import run

    run(stack=stack, partner=partner, device_code=device_code, port=port, print_token=print_token)


@main.command()
@_stack
@_partner
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a pipeline.")
@_plain_errors
def doctor(stack: str | None, partner: str | None, as_json: bool) -> None:
    """Check the configuration, the network, the sign-in and the token; exit with 1 if something is wrong."""
    from pc_provider.doctor import run

    sys.exit(0 if run(stack=stack, partner=partner, as_json=as_json) else 1)


@main.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--customer", metavar="GUID", help="Instead of FILE: the customer of one subscription.")
@click.option("--subscription", metavar="GUID", help="That subscription.")
@click.option("--offer", metavar="GUID", help="The target offer; without it, everything that is offered is listed.")
@click.option(
    "--type",
    "upgrade_type",
    type=click.Choice(["upgrade_only", "upgrade_with_license_transfer"]),
    default="upgrade_only",
    show_default=True,
    help="The upgrade type.",
)
@_stack
@_partner
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a pipeline.")
@_plain_errors
def eligibility(
    file: Path | None,
    customer: str | None,
    subscription: str | None,
    offer: str | None,
    upgrade_type: str,
    stack: str | None,
    partner: str | None,
    as_json: bool,
) -> None:
    """Ask whether upgrades can be made: those in FILE (a CSV as in examples/fleet), or one. Exits with 1 if not all."""
    if (file is None) == (customer is None and subscription is None):
        raise click.UsageError("Give either a FILE, or --customer and --subscription.")
    from pc_provider.eligibility_command import run

    well = run(
        file=file,
        customer_id=customer,
        subscription_id=subscription,
        target_offer_id=offer,
        upgrade_type=upgrade_type,
        stack=stack,
        partner=partner,
        as_json=as_json,
    )
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
