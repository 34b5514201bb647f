"""Tables without holes: what is left when whole rows and columns that lack values are left out, as few as need be."""

import pandas as pd


def balanced(table: pd.DataFrame) -> pd.DataFrame:
    """The rows and columns of a table that have a value everywhere.

    As long as a value is missing, the row or column that lacks the largest share of its values goes, a column before a
    row where both lack as much. So a beta at which one of eight seeds diverged goes, and a seed that has only begun.
    """
    there = table.notna()
    while there.size and not there.all(axis=None):
        rows, columns = 1 - there.mean(axis=1), 1 - there.mean(axis=0)
        column = columns.max() >= rows.max()
        there = there.drop(columns=columns.idxmax()) if column else there.drop(index=rows.idxmax())
    return table.loc[there.index, there.columns]
