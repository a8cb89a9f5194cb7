"""Look-ups in a program, on the real engine: what they give, and that a failed one is one clean message."""

from __future__ import annotations

from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E1, OFFER_E3, OFFER_E5, SUBSCRIPTION_ID

from ..conftest import NewStack

HEAD = (
    "import pulumi\n"
    "from pc_provider import get_subscription, get_subscription_output, get_upgrades, get_upgrades_output\n"
    f"customer, source = {CUSTOMER_ID!r}, {SUBSCRIPTION_ID!r}\n"
)
NOWHERE = "11111111-2222-4333-8444-555555555555"


def test_a_program_sees_what_a_subscription_is_and_what_it_can_become(new_stack: NewStack) -> None:
    stack = new_stack(
        HEAD
        + "held = get_subscription(customer, source)\n"
        + "pulumi.export('offer', held.offer_id)\n"
        + "pulumi.export('offers', sorted({item.target_offer.id for item in get_upgrades(customer, source)}))\n"
        + "later = pulumi.Output.from_input(source)\n"
        + "pulumi.export('quantity', get_subscription_output(customer, later).apply(lambda found: found.quantity))\n"
        + "pulumi.export('count', get_upgrades_output(customer, later).apply(len))\n"
    )
    stack.up().succeeded()
    outputs = stack.outputs()
    assert outputs["offer"].upper() == OFFER_E1
    assert [offer.upper() for offer in outputs["offers"]] == sorted([OFFER_E3, OFFER_E5])
    assert (outputs["quantity"], outputs["count"]) == (25, 4)


def test_a_failed_look_up_is_one_message_with_its_ids(new_stack: NewStack) -> None:
    for line in (f"get_subscription(customer, {NOWHERE!r})", f"get_upgrades_output(customer, {NOWHERE!r})"):
        text = new_stack(HEAD + line + "\n").preview().failed().text
        assert "Traceback" not in text
        assert f"subscription {NOWHERE} of customer {CUSTOMER_ID}: Partner Center answered 404, code 20003" in text
        assert "What to do: Check subscription_id" in text
        assert "request id" in text


def test_an_id_that_is_no_guid_is_not_sent(new_stack: NewStack) -> None:
    text = new_stack(HEAD + "get_subscription('contoso', source)\n").preview().failed().text
    assert "Traceback" not in text
    assert "The look-up was not sent: customer_id must be a GUID" in text
