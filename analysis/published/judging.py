"""How a rule judges what was found, and a claim the records: verdicts as analysis/published/claim.py says them."""

from dataclasses import replace

from analysis.published.claim import Claim, Finding, Records, Rule, Verdict
from analysis.published.seeds_needed import needed_note, seeds_needed
from analysis.records.load import ResultsError


def judge(rule: Rule, finding: Finding) -> Verdict:
    """The verdict of a rule on what was found."""
    each = finding.estimates
    if not each:
        return Verdict(verdict="undecided", note=finding.note, ours=finding.ours)
    intervals = {name: estimate.interval(rule.level) for name, estimate in each.items()}
    unknown = [name for name, estimate in each.items() if not estimate.known]
    if unknown:
        first = each[unknown[0]]
        single = len(unknown) == len(each) and all(estimate.degrees_of_freedom < 1 for estimate in each.values())
        reason = "one seed: no interval" if single else f"no interval for {', '.join(unknown)}"
        note = join_notes(reason, finding.note)
        return Verdict(verdict="undecided", estimate=first.value, note=note, ours=finding.ours)
    stricter = 1 - (1 - rule.level) / len(each)
    against = {name: rule.fails_by(*estimate.interval(stricter)) for name, estimate in each.items()}
    weakest = min(intervals, key=lambda name: rule.holds_by(*intervals[name]))
    worst = max(against, key=lambda name: against[name])
    p_holds = max(rule.p_holds(estimate) for estimate in each.values())
    p_fails = min(1.0, len(each) * min(rule.p_fails(estimate) for estimate in each.values()))
    verdict, shown, p = "undecided", weakest, min(p_holds, p_fails)
    if all(rule.holds_by(*interval) > 0 for interval in intervals.values()):
        verdict, p = "holds", p_holds
    elif against[worst] > 0:
        verdict, shown, p = "fails", worst, p_fails
    weakest = f"{'fails' if shown == worst and verdict == 'fails' else 'least'} for {shown}, of {len(each)}"
    corrected = f"fails if one is on the wrong side at {100 * stricter:.{4 if stricter > 0.9995 else 3}g} %"
    weakest = f"{weakest}: holds if all do, {corrected}" if len(each) > 1 else ""
    needed, would = seeds_needed(rule, each) if verdict == "undecided" else (None, "")
    return Verdict(
        verdict=verdict,
        estimate=each[shown].value,
        interval=intervals[shown],
        seeds=each[shown].degrees_of_freedom + 1 if each[shown].degrees_of_freedom > 0 else None,
        p=p,
        needed=needed,
        note=join_notes(needed_note(needed, would) if would else "", weakest, finding.note),
        ours=finding.ours,
    )


def join_notes(*notes: str) -> str:
    """Notes as one."""
    return "; ".join(filter(None, notes))


def decide(claim: Claim, records: Records) -> Verdict:
    """The verdict on a claim; undecided where the records cannot tell."""
    try:
        found = judge(claim.rule, claim.estimate(records))
    except ResultsError:
        raise
    except ValueError as error:
        return Verdict(verdict="undecided", note=str(error))
    return replace(found, note=join_notes(found.note, diverged_note(records)))


def diverged_note(records: Records) -> str:
    """What is left out of the records since it diverged."""
    curves = records.curves
    lost = curves.loc[curves["status"] == "diverged", "run_id"].nunique()
    return (
        f"{lost} of {curves.loc[curves['method'] != 'oracle', 'run_id'].nunique()} runs diverged and are left out"
        if lost
        else ""
    )
