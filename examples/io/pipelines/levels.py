"""The highest level of each tank, from a file to three places."""

import pandas as pd
from hamilton.function_modifiers import load_from, save_to, source, value


@load_from.csv(path=source("file"), inject_="rows")
@save_to.parquet(path=value("data/daily.parquet"), engine=value("pyarrow"), output_name_="saved")
def daily(rows: pd.DataFrame) -> pd.DataFrame:
    """The highest level of each tank."""
    return rows.groupby("tank", as_index=False)["mm"].max()


@save_to.sql(
    table_name=value("daily"),
    db_connection=source("database"),
    if_exists=value("replace"),
    index=value(False),
    output_name_="stored",
)
def table(daily: pd.DataFrame) -> pd.DataFrame:
    """What the database gets."""
    return daily.assign(litres=daily["mm"] * 1.131)


@save_to.mqtt(topic=value("tanks/fullest"), retain=value(True), output_name_="told")
def fullest(daily: pd.DataFrame) -> dict:
    """The tank with the highest level."""
    row = daily.loc[daily["mm"].idxmax()]
    return {"tank": str(row["tank"]), "mm": int(row["mm"])}
