"""The files that a sweep leaves beside its config.toml, as patterns."""

SIDE_TABLES = ("responses", "gold_law", "margins", "ledger", "pairs")  # what is known of policies beside their curves


POLICIES = "policies/*.safetensors"  # of trained policies


KINDS = ("curves", "runs", "proxies", *SIDE_TABLES)


PARTS = (
    *(f"parts/*.{kind}.parquet" for kind in KINDS),
    *("parts/*.sha256", "parts/*.safetensors", "parts/sizes.json", "parts/SHA256SUMS"),
)


RECORDS = (
    *(
        "world.json",
        "tables.json",
        "source.json",
        "grown.json",
        "losses.parquet",
        "external.parquet",
        "report.html",
        "claims.json",
        "SHA256SUMS",
        "report.sha256",
    ),
    *(*(f"{kind}.parquet" for kind in KINDS), *PARTS, "proxies/*.npz", POLICIES, "figures/*.png", "figures/*.svg"),
    "code/**/*.py",
)
