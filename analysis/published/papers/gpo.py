"""Tang et al. 2024, Generalized Preference Optimization (arXiv:2402.05749): the six losses over a ladder of beta.

Three sweeps: the ladder, a finer one around the best beta ("peaks"), and proxies that are trained with each f
("proxies"). What the paper says of the bandit, of tails and of KL along training is known from a summary of it, not in
its own words.
"""

from analysis.published.claim import LEAST, LEAST_RATIO, Claim, Paper, Part, above, below, outside, within
from analysis.published.estimates.gpo import kl_against_beta, overoptimized, rise, similar
from analysis.published.estimates.gpo_peaks import STEP, aligned_peaks, peak_over_beta, win_rate_peaks
from analysis.published.estimates.gpo_proxies import POINT, accuracy, alike
from analysis.published.estimates.gpo_theory import bandit, kappa, mixture, on_policy, tail, tails
from analysis.published.estimates.gpo_training import FACTOR_OF_TWO, TENTH, apart, not_kl, outgrows, suppressed
from analysis.statistics.comparison import SIMILAR

QUICK_PEAKS = (
    "sweep.seeds=3",
    "train.steps=300",
    "train.checkpoints=4",
    "sweep.beta=[0.125,0.177,0.25,0.354,0.5,0.707,1,1.41,2]",
)
ROUNDING = 1e-9  # of a relative deviation; what is below is no deviation
ORDERED = 0.5  # Kendall's correlation of orders of six: more than 11 of 15 pairs are as said


PAPER = Paper(
    title="Generalized Preference Optimization (Tang et al. 2024, arXiv:2402.05749)",
    examples=("counterexample", "bandit"),
    parts={
        "": Part(config="gpo", quick=("sweep.seeds=3", "train.steps=200", "train.checkpoints=12")),
        "peaks": Part(config="gpo_peaks", quick=QUICK_PEAKS),
        "proxies": Part(config="gpo_proxies", quick=("sweep.seeds=3", "proxy.steps=300")),
    },
    claims=(
        Claim(
            name="beta",
            statement="A ten times smaller beta ends with at least 5 % more KL, with every loss and everywhere on "
            "the ladder",
            source="GPO, Sec. 5",
            unit="log of the ratio of KL",
            rule=above(LEAST_RATIO),
            estimate=kl_against_beta,
        ),
        Claim(
            name="rise",
            statement=f"At the smallest beta gold rises at first, by more than {LEAST:g}, with every loss",
            source="GPO, Sec. 5",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=rise,
        ),
        Claim(
            name="fall",
            statement=f"At the smallest beta gold falls after its peak along training, by more than {LEAST:g}, "
            "with every loss",
            source="GPO, Sec. 5; Gao et al. 2023",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=overoptimized,
        ),
        Claim(
            name="similar",
            statement=f"At equal KL every two of the six losses have the same gold within {SIMILAR:g}",
            source="GPO, abstract",
            unit="deviations of gold at equal KL",
            rule=within(SIMILAR),
            estimate=similar,
        ),
        Claim(
            name="kappa",
            statement="Losses agree better on KL at equal beta kappa than at equal beta, and than with 95 % of "
            "other ways to give these kappa to these losses",
            source="GPO, Sec. 4, from its second-order view",
            unit="share of the spread over losses that kappa removes",
            rule=above(0),
            estimate=lambda records: kappa(records, "kl"),
        ),
        Claim(
            part="peaks",
            name="best-beta",
            statement="The best beta times kappa differs less between losses than the best beta, and than with 95 "
            "% of other ways to give these kappa to these losses",
            source="GPO, abstract and Sec. 5",
            unit="share of the spread over losses that kappa removes",
            rule=above(0),
            estimate=lambda records: kappa(records, "best"),
        ),
        Claim(
            name="not-kl",
            statement="Offline regularization is not KL: weakly regularized, they differ by more than a factor of two",
            source="GPO, Sec. 4",
            unit="log of KL over half of 1/2 E_mu rho^2, 0 near the reference",
            rule=outside(FACTOR_OF_TWO),
            estimate=not_kl,
        ),
        Claim(
            name="kl-grows",
            statement="Weakly regularized, KL ends above the mu-weighted squared loss 1/2 E_mu rho^2; near the "
            "reference it is half of it",
            source="GPO, Sec. 4",
            unit="log of KL over half of 1/2 E_mu rho^2, 0 near the reference",
            rule=above(FACTOR_OF_TWO),
            estimate=not_kl,
        ),
        Claim(
            name="outgrows",
            statement="Weakly regularized, KL is at some time along training above the mu-weighted squared loss "
            "1/2 E_mu rho^2, with every loss; near the reference it is half of it",
            source="GPO, Sec. 4, on KL against the squared loss along training",
            unit="log of KL over half of 1/2 E_mu rho^2 at the checkpoint where it is largest",
            rule=above(FACTOR_OF_TWO),
            estimate=outgrows,
        ),
        Claim(
            name="apart",
            statement="Weakly regularized, more than a tenth of what KL gains along training comes while the "
            "mu-weighted squared loss does not rise, with every loss",
            source="GPO, Sec. 4, on KL against the squared loss along training",
            unit="share of the rise of KL",
            rule=above(TENTH),
            estimate=apart,
        ),
        Claim(
            name="suppressed",
            statement="Ours, not the paper's: weakly regularized, responses that became less likely give more than "
            "twice as much of the mu-weighted squared loss as those that became more likely",
            source="ours; why kl-grows may fail here",
            ours=True,
            unit="log of what the first give over what the second do",
            rule=above(FACTOR_OF_TWO),
            estimate=suppressed,
        ),
        Claim(
            name="mixture",
            statement="Minimizing the mu-weighted squared loss can raise KL (mixture of two Gaussians)",
            source="GPO, Sec. 4",
            unit="nats",
            rule=above(0),
            estimate=mixture,
        ),
        Claim(
            name="bandit",
            statement="Training on a GPO loss can raise KL above the mu-weighted squared loss 1/2 E_mu rho^2, with "
            "each loss; near the reference it is half of it (a bandit whose best response mu rarely draws)",
            source="GPO, Sec. 4",
            unit="log of KL over half of 1/2 E_mu rho^2, 0 near the reference",
            rule=above(FACTOR_OF_TWO),
            estimate=bandit,
        ),
        Claim(
            name="on-policy",
            statement="On pairs that the policy draws itself the gradient of 1/2 E rho^2 is twice that of KL",
            source="GPO, Sec. 4",
            unit="largest relative deviation of the two gradients",
            rule=below(ROUNDING),
            estimate=on_policy,
        ),
        Claim(
            name="tail",
            statement="A tail that turns upward regularizes more: the truncation of the squared loss ends with at "
            "least 5 % more KL",
            source="GPO, Sec. 4, on tails",
            unit="log of the ratio of KL at equal beta",
            rule=above(LEAST_RATIO),
            estimate=tail,
        ),
        Claim(
            name="tails",
            statement="At equal beta kappa the six losses end with KL in the order of their tails, what turns upward "
            f"or decays fast with the least: Kendall's correlation of the two orders is above {ORDERED:g}",
            source="GPO, Sec. 4, on tails; derived in analysis/theory/six_losses.py",
            unit="Kendall's correlation",
            rule=above(ORDERED),
            estimate=tails,
        ),
        Claim(
            part="peaks",
            name="peak",
            statement="Gold at the end of training has a peak over beta: at the best beta it is more than "
            f"{LEAST:g} higher than at both ends of the ladder, with every loss",
            source="GPO, Sec. 5, on performance against beta",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=peak_over_beta,
        ),
        Claim(
            part="peaks",
            name="aligned",
            statement="The best beta differs between losses as kappa says: best beta times kappa is the same within "
            "a factor of 1.41 for every two losses whose kappa is above 0",
            source="GPO, abstract and Sec. 5",
            unit="log of the ratio of best beta times kappa",
            rule=within(STEP),
            estimate=aligned_peaks,
        ),
        Claim(
            part="peaks",
            name="win-rate",
            statement="Ours, not the paper's: win rate and gold peak at the same beta within a factor of 1.41, with "
            "every loss",
            source="ours; the paper judges side by side, and gold is what decides here",
            unit="log of the ratio of the beta of the two peaks",
            rule=within(STEP),
            estimate=win_rate_peaks,
            ours=True,
        ),
        Claim(
            part="proxies",
            name="proxies",
            statement="Ours, not the paper's: against proxies that are trained with the six f best-of-n, and perfect "
            f"RL, have the same gold at equal KL within {SIMILAR:g}, for every two f",
            source="ours; after GPO, Sec. 3, where every f gives a loss of reward models",
            unit="deviations of gold at equal KL",
            rule=within(SIMILAR),
            estimate=alike,
            ours=True,
        ),
        Claim(
            part="proxies",
            name="proxies-accuracy",
            statement="Ours, not the paper's: proxies that are trained with the six f order fresh pairs as gold does "
            f"equally often within {100 * POINT:g} point in 100, for every two f",
            source="ours; after GPO, Sec. 3, where every f gives a loss of reward models",
            unit="accuracy on gold's preferences",
            rule=within(POINT),
            estimate=accuracy,
            ours=True,
        ),
    ),
)
