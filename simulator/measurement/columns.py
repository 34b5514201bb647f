"""Every measured column, in the order of the tables; quantities of their own module that are new come last."""

from simulator.common.column import Column
from simulator.common.discovery import modules_in
from simulator.measurement.quantity import Quantity

QUANTITIES: dict[str, Quantity] = {
    module.QUANTITY.column.name: module.QUANTITY for module in modules_in("simulator.measurement.quantities")
}
ENTROPY, LENGTH = (QUANTITIES[name].column for name in ("entropy", "length"))
PLACED = ("entropy", "length")
QUANTILES = {"margin_q05": 0.05, "margin_q25": 0.25, "margin_q50": 0.5, "margin_q75": 0.75, "margin_q95": 0.95}
GOLD_UNIT = "deviations of gold under the reference"


def nats(name: str, about: str, *, error: bool = False, squared: bool = False, always: bool = True) -> Column:
    """A column in nats."""
    return Column(name=name, unit="nats", about=about, error=error, squared=squared, always=always)


MEASURED = (
    *nats("kl", "KL(pi ‖ pi_ref), mean over prompts", error=True, squared=True).with_error(),
    *Column(name="gold", unit=GOLD_UNIT, about="E_pi gold; the reference has 0", error=True).with_error(),
    *Column(
        name="proxy",
        unit=GOLD_UNIT,
        about="the proxy's score, or the implicit reward in its own deviations",
        error=True,
    ).with_error(),
    *Column(
        name="win_rate", unit="probability", about="that gold prefers pi's response to the reference's", error=True
    ).with_error(),
    Column(
        name="proxy_variance",
        unit=f"{GOLD_UNIT}, squared",
        about="variance of the proxy under pi, mean over prompts",
        squared=True,
        always=False,
    ),
    Column(name="mu_squared", unit="nats²", about="½ E_mu rho² under the behaviour policy mu", squared=True),
    Column(name="train_loss", unit="", about="the loss on the run's own pairs"),
    Column(name="train_accuracy", unit="share", about="of the run's own pairs whose margin is positive"),
    ENTROPY,
    nats("chosen_logratio", "log pi - log pi_ref of chosen responses, mean over the run's own pairs"),
    nats("rejected_logratio", "the same of rejected responses"),
    LENGTH,
    ENTROPY.standard_error(),
    LENGTH.standard_error(),
    *(nats(name, f"quantile {level:g} of rho over the run's own pairs") for name, level in QUANTILES.items()),
    *(
        each
        for name in ("k1", "k2", "k3")
        for each in nats(f"kl_{name}", f"estimator {name} of KL", error=True, squared=True, always=False).with_error()
    ),
    Column(
        name="nash_win_rate",
        unit="probability",
        about="that pi's response is preferred to the Nash policy's, by intransitive labels; in listed worlds",
        always=False,
    ),
    Column(name="tied", unit="share", about="of the run's own pairs that are labelled ties", always=False),
    Column(name="held_out_loss", unit="", about="the loss on pairs that nothing learns from", always=False),
    Column(name="held_out_accuracy", unit="share", about="of such pairs whose margin is positive", always=False),
    Column(name="n", unit="", about="n of best-of-n", always=False, tidied=False),
    Column(name="kl_bound", unit="nats", about="log n - (n - 1)/n", always=False, tidied=False),
    Column(name="tau", unit=f"{GOLD_UNIT} per nat", about="penalty of the Gibbs policy", always=False, tidied=False),
    Column(name="proxy_parameters", unit="", about="of the run's proxy", always=False, tidied=False),
    *(
        each
        for name, quantity in QUANTITIES.items()
        if name not in PLACED
        for each in (quantity.column.with_error() if quantity.column.error else (quantity.column,))
    ),
    *Column(
        name="fluency",
        unit=GOLD_UNIT,
        about="what fluency gives of gold; gold less this is what content gives",
        error=True,
        always=False,
    ).with_error(),
    Column(
        name="displaced",
        unit="share",
        about="of the run's own pairs whose chosen response is less likely than under the reference",
    ),
)
