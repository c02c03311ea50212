"""What a workflow shows: times, figures over several runs, and words at its end."""

import sys
from pathlib import Path


def timings(run):
    """What each step of ``run`` and of what it shares took."""
    shared = [
        f"extractor-{Path(path).stem}"
        for path in [
            *(extractor_file(run, role) for role in ROLES),
            *further_measures(run)["further"],
        ]
    ]
    steps = ["collect", "baselines"]
    for search, entry in RUNS[run]["searches"].items():
        steps += [
            f"search-{search}-{first:04d}" for first, _ in lcsc_config.rounds(entry)
        ]
        steps.append(f"select-{search}")
    steps += [f"tune-{name}" for name in tunings(run)]
    steps += ["evaluate", "export"]
    paths = [f"results/shared/timings/{step}.json" for step in shared]
    paths += [
        f"results/{owner(run)}/timings/train-{schedule}.json"
        for schedule in trainings(run)
    ]
    return paths + [f"results/{run}/timings/{step}.json" for step in steps]


def figure_evaluations():
    """The final evaluations, with their timings, that the figures over several runs show."""
    return [f"results/{run}/evaluation.json" for run in shown_runs()]


def shown_runs(*kinds):
    """The runs that figures of ``kinds`` show, or all figures."""
    figures = CONFIG["figures"]
    return dict.fromkeys(
        run
        for figure in figures.values()
        if figure["kind"] in kinds or not kinds
        for run in lcsc_config.runs_of(figure, figures)
    )


def figure_records():
    """What some figures show besides: banks and images of what they compare, and generations of searches."""
    compared = shown_runs("similarity")
    searches = dict.fromkeys(
        (run, method)
        for figure in CONFIG["figures"].values()
        if figure["kind"] == "convergence"
        for run in figure["runs"]
        for method in figure["methods"]
    )
    return [
        *(path for run in compared for path in bank_files(run).values()),
        *(f"results/{run}/samples.npz" for run in compared),
        *(path for pair in searches for path in generations(*pair)),
    ]


def landscapes(run):
    """The landscapes of ``run``."""
    return [layout.landscape_path(run, name) for name in RUNS[run]["landscapes"]]


def runs_by_landscape_figures():
    """The runs that have a report, by how many figures of landscapes it has."""
    found = {}
    for run in SEARCHED:
        count = layout.landscape_figures(RUNS[run]["landscapes"])
        found.setdefault(count, []).append(run)
    return found


def landscape_pictures(count):
    """The figures of landscapes in the report of a run, for Snakemake's report."""
    return [_landscape_picture(layout.landscape_figure(n + 1)) for n in range(count)]


def _landscape_picture(name):
    return report(
        f"results/{{run}}/report/{name}.svg",
        caption="../report/landscape.rst",
        category="{run}",
        labels={"what": name.replace("-", " ")},
    )


def files_beside(landscapes):
    """What lies beside the pictures and tables of a run's report: the same as pixels, numbers or text."""
    drawn = [layout.landscape_figure(n + 1) for n in range(landscapes)]
    drawn += ["convergence", "coefficients", "cost"]
    names = [f"{name}.{kind}" for name in drawn for kind in ("png", "csv")]
    names += ["result.png", "table.csv", "guards.csv", "guards.txt"]
    return [f"results/{{run}}/report/{name}" for name in names]


def report_options(wildcards, input):
    """What a run's report is given besides what every run has: its landscapes, and the configuration's name."""
    found = list(input.landscapes)
    return (["--landscapes", *found] if found else []) + configfile_options()


def configfile_options():
    """The configuration's name, as a page gives it to those who want to make it again."""
    given = [relative(path) for path in workflow.overwrite_configfiles or []]
    return ["--configfile", *given] if given else []


def figure_landscapes():
    """The landscapes that these figures show."""
    shown = dict.fromkeys(
        tuple(pair)
        for figure in CONFIG["figures"].values()
        for pair in figure.get("landscapes", [])
    )
    return [layout.landscape_path(run, name) for run, name in shown]


def figure_files():
    """The pictures and numbers of these figures by kind; Snakemake's report shows the pictures, by their titles."""
    paths = {
        kind: expand("results/figures/{name}.{kind}", name=CONFIG["figures"], kind=kind)
        for kind in ("png", "csv")
    }
    pictures = [_picture(name, figure) for name, figure in CONFIG["figures"].items()]
    return {"svg": pictures, **paths}


def _picture(name, figure):
    # Snakemake fills in wildcards here, also in what a function returns.
    title = figure["title"].translate(str.maketrans("{}", "()"))
    return report(
        f"results/figures/{name}.svg",
        caption="../report/figure.rst",
        category="figures",
        labels={"what": title},
    )


def show_results():
    """Print the table of each run and where its report is."""
    for run in RUNS:
        table, page = Path(f"results/{run}/report/table.txt"), Path(
            f"results/{run}/report/report.html"
        )
        if table.is_file() and page.is_file():
            print(
                f"\n{table.read_text(encoding='utf-8').rstrip()}\n\nReport: {page.resolve()}",
                file=sys.stderr,
            )


def show_failures(log):
    """Say which jobs failed, why, and where their logs are; ``log`` is Snakemake's own, or several of them."""
    logs = [log] if isinstance(log, (str, Path)) else log or []
    print(f"\n{failures.summary(map(Path, logs), Path.cwd())}", file=sys.stderr)
