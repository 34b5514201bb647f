"""What is said of keys that were set and that no run of a sweep reads."""

from collections.abc import Sequence

from simulator.common.errors import shown
from simulator.methods import METHODS
from simulator.methods.method import Method
from simulator.objectives import OBJECTIVES
from simulator.planted import ERROR_LAWS
from simulator.settings.proxy_table import PLANTED_KEYS, TRAINED_KEYS
from simulator.settings.run import Run
from simulator.settings.tables import flat_settings
from simulator.settings.toml import flatten
from simulator.sweeps.grid import tables_read
from simulator.sweeps.stacking import cells, method_of
from simulator.sweeps.sweep import RunSettings, Sweep

NEEDS = {  # what reads a key, or a table, whatever the method
    "train.weight_decay": 'train.optimizer = "adamw"',
    "data.behaviour_temperature": 'data.behaviour = "tempered"',
    "data.uniform_share": 'data.behaviour = "mixture"',
    "data.behaviour_n": 'data.behaviour = "best_of_n"',
    "data.one_from_reference": "a data.behaviour that is not the reference",
    "data.labels": "gold where it labels, without data.file,",
    "data.label_noise": "gold where it labels, without data.file,",
    "data.temperature": "gold where it labels by chance, without data.file,",
    "data.flip_toward": "gold where it labels with data.label_noise, without data.file,",
    "data.tie_strength": 'data.labels = "ties", without data.file,',
    "data.cycle": 'data.labels = "intransitive", without data.file,',
    "data.length_bias": "gold where it labels responses that may end early (world.language.stop), without data.file,",
    "data.annotators": "gold where it labels with data.disagreement, without data.file,",
    "data.disagreement": "gold where it labels, without data.file,",
    "data.pairs": "data.population = false",
    "train.batch": 'sweep.method "gpo" with data.population = false',
    "policy.features": 'policy.kind = "linear"',
    "data.filter_share": 'data.filter = "ches" or "displacement"',
    "measure.displacement": "training on pairs",
    "measure.held_out": "training on pairs",
    "measure": 'world.kind = "sampled"',
    "proxy": "a method against proxies, or a proxy that labels",
    **dict.fromkeys((f"proxy.{key}" for key in TRAINED_KEYS), 'a proxy that is trained, proxy.kind = "trained",'),
    **dict.fromkeys((f"proxy.{key}" for key in ("kind", *PLANTED_KEYS)), 'a proxy, with proxy.kind = "planted",'),
    **{
        f"proxy.{key}": f'a proxy, with proxy.kind = "planted" and proxy.error = "{law.name}",'
        for law in ERROR_LAWS.values()
        for key in law.reads
    },
    "proxy.combine": "a proxy, and proxy.members above 1",
    "proxy.uncertainty": 'a proxy, proxy.members above 1 and proxy.combine = "uncertainty_weighted"',
}


def unread_keys_of(sweep: Sweep, runs: Sequence[Run]) -> list[str]:
    """A sentence on each key that was set, that is, differs from its default, and that no run reads."""
    some = [run for run, _ in cells(runs)]
    reads_of = [(run.settings, method_of(run).reads(run)) for run in some]
    read = {name.removeprefix(".") for pair in reads_of for name, _ in flatten("", tables_read(*pair))}
    reported = read | {name for _, reads in reads_of for name in reads.always_report}
    default, axes, sentences = flat_settings(RunSettings()), sweep.sweep.axes, []
    for key, value in flat_settings(sweep.settings_at({})).items():
        if key not in read and key not in axes and value != default[key]:
            sentences.append(f"{key} = {shown(value)}: no run of this sweep reads it{needs(key)}")
    for key, values in axes.items():
        if len(values) > 1 and not any(name == key or name.startswith(f"{key}.") for name in reported):
            sentences.append(f"sweep.{key}: no run of this sweep reads it, so it is dropped{needs(key)}")
    objectives = [run.objective for run in some if run.objective]
    reads = {
        "loss": bool(objectives),
        "beta": any(objective.has_beta for objective in objectives),
        "penalty": any("penalty" in method_of(run).card.varies for run in some),
    }
    usual = type(sweep.sweep)()
    unread_here = [key for key, is_read in reads.items() if not is_read]
    for key in unread_here:
        if getattr(sweep.sweep, key) != getattr(usual, key):
            sentences.append(f"sweep.{key}: no run of this sweep reads it{needs(f'sweep.{key}')}")
    return sentences


def needs(key: str) -> str:
    """A clause that says what would read the dotted key; nothing where that is not known."""
    table, _, rest = key.partition(".")
    if table == "objective":
        names = [name for name, objective in OBJECTIVES.items() if objective.table == rest.partition(".")[0]]
        return f"; only sweep.loss {' or '.join(names)} does"
    for name in (key, table):
        readers = [NEEDS[name]] if name in NEEDS else methods_that_read(name)
        if readers:
            return f"; only {' or '.join(readers)} does"
    return ""


def methods_that_read(name: str) -> list[str]:
    """The methods that read a key, or a table, and others do not, those together that have one clause on when."""
    by_clause: dict[str, list[str]] = {}
    for method in METHODS.values():
        if name in method.read_where or own_key(method, name):
            by_clause.setdefault(method.read_where.get(name, ""), []).append(f'"{method.card.name}"')
    return [f"sweep.method {' or '.join(names)} {clause}".rstrip() for clause, names in by_clause.items()]


def own_key(method: Method, name: str) -> bool:
    """Whether a name is that of the method's table, or a key of [sweep] that its runs vary over."""
    table = method.table.key if method.table else None
    return name == table or name in {f"sweep.{key}" for key in method.card.varies}
