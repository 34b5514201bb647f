"""The command `audit`. What is heavy is imported when it runs."""

from collections.abc import Callable
from pathlib import Path

from simulator.execution.console import Settings, Show

PROMPTS, KEY = 4, "world.prompts"


def audit_with(show: Show) -> Callable[..., None]:
    """The command."""

    def audit(
        config: Path = Path("quickstart"),
        /,
        *,
        out: Path = Path("results/audit"),
        settings: Settings = (),
        steps: int = 10,
        penalty: float = 0.1,
        responses: int = 8,
        batches: int = 20_000,
        seed: int = 0,
    ) -> None:
        """Compare estimators of policy gradients with the exact gradient: RLOO, GRPO, REINFORCE++, k1, k2, k3, PPO.

        Parameters
        ----------
        config
            A sweep with a world in which every response can be listed: a TOML file, or the name of one that ships.
        out
            Where audit.csv and figures/audit.png go.
        settings
            KEY=VALUE replaces one key of the sweep; the world has 4 prompts at most, unless world.prompts is set here.
        steps
            The policy is audited after so many steps along the exact gradient, from the reference.
        penalty
            tau, of KL, in deviations of gold to a nat.
        responses
            Of a batch, to each prompt.
        batches
            How many are drawn where an expectation is not exact.
        seed
            Of these.

        """
        run(config, out, settings, show, steps=steps, penalty=penalty, responses=responses, batches=batches, seed=seed)

    return audit


def run(
    config: Path,
    out: Path,
    settings: tuple[str, ...],
    show: Show,
    *,
    steps: int,
    penalty: float,
    responses: int,
    batches: int,
    seed: int,
) -> None:
    """Audit, write, print. Raises ConfigError, and StorageError where the disk does not take it."""
    from simulator.common.errors import ConfigError
    from simulator.common.terminal import say
    from simulator.methods.rl import Rl
    from simulator.sweeps.sweep import Sweep

    sweep = Sweep.from_toml(config, settings)
    found = sweep.settings_at({})
    if not found.spec.lists_responses:
        raise ConfigError('audit: needs world.kind = "enumerable", where every response is listed')
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file; name a folder, such as results/audit")
    asked = any(text.partition("=")[0].strip() == KEY for text in settings)

    from simulator.api.make_world import make_world
    from simulator.audit.audit import audit_estimators
    from simulator.audit.text import lines_of, words_of
    from simulator.common.atomic_files import make_folder, write_atomically

    world = make_world(sweep, {KEY: found.world.prompts if asked else min(PROMPTS, found.world.prompts)})
    table = audit_estimators(
        world, steps=steps, penalty=penalty, responses=responses, batches=batches, seed=seed, clip=found.of(Rl).clip
    )
    make_folder(out / "figures", parents=True)
    text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    write_atomically(out / "audit.csv", text.encode())
    first = table.iloc[0]
    place = f"KL {first['kl']:.2f} nats, gold {first['gold']:.2f}"
    say(f"{config}: the policy after {steps} exact steps, {place}; tau {penalty:g}")
    say("", *lines_of(table), "", *words_of(table), "")
    say(f"a sentence on each row is in {out / 'audit.csv'}", *show(out / "audit.csv", "audit"))
