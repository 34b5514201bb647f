"""Which methods read a key, in words."""

import simulator as sim
from simulator.methods import METHODS
from simulator.settings.config_errors import known_keys
from simulator.sweeps.unread_keys import NEEDS, needs


def test_methods_speak_of_keys_and_tables_that_there_are() -> None:
    of_runs = {key for key in known_keys(sim.Sweep) if not key.startswith(("sweep.", "texts", "code"))}
    known = {*of_runs, "sweep.loss", "sweep.beta", "sweep.penalty"}
    tables = {key.partition(".")[0] for key in known}
    for method in METHODS.values():
        assert set(method.read_where) <= known | tables, method.card.name
    assert set(NEEDS) <= known | tables


def test_a_key_of_one_method_is_read_by_that_method() -> None:
    both = '; only sweep.method "iterated" or "rl" and'
    assert needs("rl.prompts") == f'{both} another rl.algorithm than "exact" does'
    assert needs("rl.kl") == needs("rl.kl_estimator") == needs("rl.prompts")
    assert needs("rl.clip") == f"{both} rl.algorithm ppo, grpo, dr_grpo or reinforce_pp does"
    assert needs("rl.algorithm") == '; only sweep.method "iterated" or "rl" does'
    assert needs("best_of_n.pool") == '; only sweep.method "best_of_n" and world.kind = "sampled" does'
    assert needs("train.batch") == '; only sweep.method "gpo" with data.population = false does'
    assert needs("train.steps") == '; only sweep.method "gpo" or "iterated" or "rl" does'
    assert needs("sweep.beta") == '; only sweep.method "gpo" and a loss that has a beta does'
    assert needs("data.pool") == '; only sweep.method "gpo" with data.labeller = "proxy" does'
    assert needs("gold.seed") == ""
