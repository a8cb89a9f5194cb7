"""Single histories, told in full: what is sent, what is read, what a person is told."""

from __future__ import annotations

import asyncio

import pytest
from pulumi.runtime import rpc

from pc_provider import attempt, inputs, upgrade
from pc_provider.partner_center import media, models
from pc_provider.partner_center.errors import NotSent, PartnerCenterError, ServerError
from pc_provider.target import AlreadyUpgraded, AmbiguousTarget
from tests.guarantees.service import E1, E3, E5, Fault, Held, Runner, Service

MINUTE = 60.0


def up(service: Service, source: Held, *faults: Fault, offer: str = E3, timeout: float = 1200.0) -> upgrade.Upgraded:
    runner = Runner(service, "us", list(faults))
    wanted = upgrade.WantedUpgrade(source.customer_id, source.id, offer)
    return upgrade.perform(runner.partner_center, wanted, timeout=timeout)


def told(service: Service, source: Held, *faults: Fault, offer: str = E3, timeout: float = 1200.0) -> str:
    with pytest.raises(PartnerCenterError) as caught:
        up(service, source, *faults, offer=offer, timeout=timeout)
    return str(caught.value)


def test_the_request_id_is_the_same_from_every_process_and_another_for_another_upgrade() -> None:
    wanted = upgrade.WantedUpgrade("A", "B", "C")
    assert wanted.request_id == "0bf009ff-eb3e-5c93-a166-3adb58a1d50a", "runs of two versions would not agree"
    assert wanted.request_id == upgrade.WantedUpgrade("a", "b", "c").request_id
    assert wanted.request_id != wanted._replace(target_offer_id="D").request_id
    assert wanted.identity == "a/b"


def test_an_upgrade_costs_one_read_and_one_post() -> None:
    service = Service()
    record = up(service, service.hold("c", E1, 5))
    assert service.requests == 2
    assert not record.adopted


def test_a_lost_answer_is_read_not_repeated() -> None:
    service = Service()
    source = service.hold("c", E1, 5)
    record = up(service, source, Fault("POST", "lost", done=True))
    assert record.adopted
    assert len(service.made) == 1


def test_an_upgrade_that_was_lost_on_its_way_is_sent_again_after_two_looks() -> None:
    service = Service()
    source = service.hold("c", E1, 5)
    runner = Runner(service, "us", [Fault("POST", "lost")])
    record = upgrade.perform(runner.partner_center, upgrade.WantedUpgrade("c", source.id, E3), timeout=1200)
    assert not record.adopted
    assert runner.posts == 2
    assert runner.looks[source.id] == 2


def test_a_service_that_keeps_failing_is_asked_less_and_less_often_and_not_for_ever() -> None:
    service = Service()
    source = service.hold("c", E1, 5)
    runner = Runner(service, "us", [Fault("POST", 500, for_ever=True)])
    with pytest.raises(upgrade.OutcomeUndecided) as caught:
        upgrade.perform(runner.partner_center, upgrade.WantedUpgrade("c", source.id, E3), timeout=1200)
    assert service.turns.now <= 1200
    assert runner.posts < 25
    text = str(caught.value)
    assert "it was sent, and whether it was made is not known" in text
    assert "Partner Center answered 500" in text
    assert "Run `pulumi up` again" in text
    assert "request id" in text


def test_a_target_that_is_listed_late_is_waited_for() -> None:
    service = Service(listing_delay=14 * MINUTE)
    source = service.hold("c", E1, 5)
    record = up(service, source, Fault("POST", "lost", done=True))
    assert record.adopted
    assert 14 * MINUTE <= service.turns.now <= 15 * MINUTE


def test_a_target_that_is_never_listed_is_an_error_that_says_so() -> None:
    service = Service(listing_delay=10**6)
    source = service.hold("c", E1, 5)
    text = told(service, source, Fault("POST", "lost", done=True))
    assert "was upgraded (it is suspended for Transition)" in text
    assert "its target is not listed" in text
    assert "Run `pulumi up` again" in text


def test_another_subscription_is_not_taken_for_a_target_that_is_not_listed_yet() -> None:
    service = Service(listing_delay=5 * MINUTE)
    source = service.hold("c", E1, 5)
    service.hold("c", E5, 5)
    service.hold("c", E3, 5, "suspended")
    with pytest.raises(AmbiguousTarget):
        up(service, source, Fault("POST", "lost", done=True))
    service = Service(listing_delay=5 * MINUTE)
    source = service.hold("c", E1, 5)
    service.hold("c", E3, 9, "suspended")
    assert up(service, source, Fault("POST", "lost", done=True)).target_subscription_id.lower() == service.made[0].id


def test_a_target_whose_licences_were_changed_is_adopted_once_every_target_must_be_listed() -> None:
    service = Service()
    source = service.hold("c", E1, 5)
    service.upgrade(source, E3, "us").quantity = 7
    record = up(service, source)
    assert record.adopted
    assert record.quantity == 7
    assert service.turns.now >= 15 * MINUTE


def test_two_that_could_be_the_target_are_named() -> None:
    service = Service()
    first, second = service.hold("c", E1, 5), service.hold("c", E1, 5)
    targets = [service.upgrade(source, E3, "somebody else") for source in (first, second)]
    text = told(service, first)
    assert all(target.id in text.lower() for target in targets)
    assert "Nothing was sent" in text


def test_an_upgrade_to_another_offer_is_refused_naming_both() -> None:
    service = Service()
    source = service.hold("c", E1, 5)
    target = service.upgrade(source, E5, "somebody else")
    with pytest.raises(AlreadyUpgraded) as caught:
        up(service, source)
    text = str(caught.value)
    assert target.id in text.lower()
    assert E3 in text
    assert E5 in text.lower()
    assert "Nothing was sent" in text


def test_an_error_after_a_post_never_says_that_nothing_was_sent() -> None:
    service = Service()
    source, twin = service.hold("c", E1, 5), service.hold("c", E1, 5)
    service.upgrade(twin, E3, "somebody else")
    text = told(service, source, Fault("POST", "lost", done=True))
    assert "Nothing was sent" not in text
    assert "not upgraded a second time" in text


def test_a_source_suspended_for_another_reason_is_not_adopted() -> None:
    service = Service()
    source = service.hold("c", E1, 5, "suspended")
    service.hold("c", E3, 5)
    text = told(service, source)
    assert "suspended (CustomerCancellation)" in text
    assert "Nothing was sent" in text
    assert not service.made


def test_a_deadline_ends_everything_with_what_is_known() -> None:
    service = Service()
    source = service.hold("c", E1, 5)
    text = told(service, source, Fault("GET", "lost", for_ever=True), timeout=10)
    assert "the connection was lost" in text
    assert "No upgrade was sent" in text
    text = told(service, source, Fault("POST", 429, seconds=60, for_ever=True), timeout=30)
    assert "429" in text or "accepts no POST upgrades" in text
    assert service.turns.now <= 45


def test_what_was_not_sent_when_the_run_is_stopped_is_not_sent() -> None:
    service = Service()
    source = service.hold("c", E1, 5)
    with pytest.raises(NotSent, match="being stopped"):
        up(service, source, Fault("GET", "stop"))
    assert not service.made
    assert up(service, source, Fault("POST", "stop")).adopted is False


@pytest.mark.parametrize("status", [302, 400, 403, 404, 409])
def test_a_refusal_that_hides_somebody_elses_upgrade_is_looked_behind(status: int) -> None:
    service = Service()
    source = service.hold("c", E1, 5)
    record = up(service, source, Fault("POST", status, done=True))
    assert record.adopted
    other = service.hold("d", E1, 5)
    with pytest.raises(PartnerCenterError, match=str(status)):
        up(service, other, Fault("POST", status))
    assert len(service.made) == 1


def test_a_read_that_keeps_failing_ends_after_four_attempts() -> None:
    service = Service()
    source = service.hold("c", E1, 5)
    with pytest.raises(ServerError):
        up(service, source, Fault("GET", 500, for_ever=True))
    assert service.requests == 4


def test_a_chain_of_upgrades_is_adopted_link_by_link() -> None:
    service = Service()
    first = service.hold("c", E1, 5)
    second = service.upgrade(first, E3, "us")
    third = service.upgrade(second, E5, "us")
    assert up(service, first).target_subscription_id.lower() == second.id
    assert up(service, second, offer=E5).target_subscription_id.lower() == third.id


def test_what_was_performed_is_recorded_whatever_the_answer_holds() -> None:
    answer = rb"""{"targetSubscriptionId": "t\ud800", "licenseErrors": [
        {"name": "\udfff", "email": null, "x": [null, 1e308], "errors": [{"code": 99999999999999999999}],
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}]}"""
    result = models.read(models.UpgradeResult, media.decode(answer, "application/json"))
    wanted = upgrade.WantedUpgrade("c", "s", E3)
    record = attempt.accepted(wanted, models.Upgrade(quantity=2**70), result, "Mon, 99 Foo 2026 22:25:28 +9999")
    outs = inputs.outputs({"customerId": "c"}, record)
    stored = asyncio.run(rpc.serialize_properties(outs, {}))
    back = rpc.deserialize_properties(type(stored).FromString(stored.SerializeToString()))
    assert back["targetSubscriptionId"] == "t?"
    assert back["licenseErrors"][0]["name"] == "?"
