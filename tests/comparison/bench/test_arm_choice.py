"""Arms: derived from the registry, by what a network has and what fills it."""

import pytest

from init_bench import InitBenchError, init
from init_bench.comparison.bench.arm_choice import AS_BUILT, DEFAULT, arms_of, menu_arms, traits_of
from init_bench.comparison.bench.tasks import TASKS
from init_bench.init.lookup import RECORDS
from init_bench.models import siren, vit_small


def test_the_menu_offers_rules_and_torchs_default() -> None:
    arms = set(menu_arms())
    assert {"he_normal", "orthogonal", "lsuv", "fixup", "torch.default"} <= arms
    assert not arms & {"normal", "zeros", "ones", "sparse", "torch.orthogonal", "gradinit"}


def test_an_initializer_of_a_plug_in_is_an_arm_at_once() -> None:
    def half_(tensor, *, generator=None):  # type: ignore[no-untyped-def]
        """Fill from half of He's."""
        return init.he_normal_(tensor, generator=generator).mul_(0.5)

    init.register_init("half_he", half_, nominal_std=lambda given, size: size.fan_in**-0.5)
    try:
        assert "half_he" in arms_of(TASKS["mlp"], None)
    finally:
        init.INITS.pop("half_he")
        RECORDS.pop("half_he")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "meant", "not_meant"),
    [
        ("mlp", {"looks_linear"}, {"siren", "fixup", "gpt2", AS_BUILT}),
        ("mlp20_tanh", {"critical_normal"}, {"looks_linear"}),
        ("resnet14", {"fixup", AS_BUILT}, {"zero_gamma", "t_fixup"}),
        ("resnet8_batchnorm", {"zero_gamma", AS_BUILT}, {"fixup", "gpt2"}),
        ("vit_prenorm", {"gpt2", "t_fixup", AS_BUILT}, {"fixup", "siren"}),
        ("siren", {"siren"}, {"gpt2", AS_BUILT}),
    ],
)
def test_a_task_has_the_arms_that_are_meant_for_its_network(
    task: str, meant: set[str], not_meant: set[str]
) -> None:
    arms = set(arms_of(TASKS[task], None))
    assert {"he_normal", "torch.default", "lsuv", *meant} <= arms
    assert not arms & not_meant


@pytest.mark.parametrize(("task", "own"), [("mlp", "looks_linear"), ("siren", "siren")])
def test_a_quick_bench_has_the_usual_arms_and_one_of_the_network(task: str, own: str) -> None:
    assert arms_of(TASKS[task], None, quick=True) == [DEFAULT, "xavier_normal", "he_normal", own]


def test_traits_are_read_off_the_modules() -> None:
    vit = vit_small((1, 28, 28), 10, width=8, depth=1)
    assert traits_of(vit) == {"attention"}
    assert traits_of(siren(2, 1, 8, 3)) == {"sine", "no normalization"}


def test_a_trait_that_is_none_is_refused_when_it_is_registered() -> None:
    with pytest.raises(InitBenchError, match="unknown trait of a network 'atention'"):
        init.register_init("mine", lambda network: None, needs="module", meant_for=("atention",))


def test_fewer_than_two_arms_are_no_comparison() -> None:
    with pytest.raises(InitBenchError, match=r"task 'mlp': 1 of the initializers he_normal, fixup"):
        arms_of(TASKS["mlp"], ["he_normal", "fixup"])
