"""What a run takes on a machine: the seconds of each job from counts and speeds, and of all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lcsc.config import rounds, shards
from lcsc.plan import resources, work
from lcsc.plan.schedule import Job, makespan
from lcsc.plan.work import Work

Section = Mapping[str, Any]
# What figures and tables take, in beginnings of a job: both are Python's work.
REPORT_BEGINNINGS = 4.0


@dataclass(frozen=True)
class Speeds:
    """Seconds of one worker: for a job to ``begin``, an ``evaluation`` beside its images, each ``image`` made and
    measured, each image seen by a further ``extractor``; a ``gradient`` beside its images and each ``gradient_image``;
    a step of the ``training`` and of each trained extractor's (``classifiers``). ``bank`` is bytes combined a second
    for each candidate. ``own`` is a gradient and its images by further extractors that are searched, by name, and
    ``sharing`` what is left of a worker's speed where all work at once."""

    begin: float
    evaluation: float
    image: float
    extractor: float
    gradient: float
    gradient_image: float
    bank: float
    training: float = 0.0
    classifiers: Mapping[str, float] | None = None
    own: Mapping[str, tuple[float, float]] | None = None
    sharing: float = 1.0

    def gradient_by(self, extractor: str | None) -> tuple[float, float]:
        """A gradient of the distance by ``extractor`` beside its images, and each of these."""
        return (self.own or {}).get(extractor or "", (self.gradient, self.gradient_image))

    @property
    def factor(self) -> float:
        """What an image of a gradient takes in images of evaluations."""
        return self.gradient_image / self.image


@dataclass(frozen=True)
class Machine:
    """``slots`` cores with ``threads`` for a worker that ``runs`` share, or GPUs that each take one job at a time."""

    name: str
    slots: int
    threads: int = 1
    gpus: bool = False
    runs: int = 1

    @property
    def width(self) -> int:
        """Slots of a job that scores."""
        if self.gpus:
            return 1
        return min(resources.scoring_cores(self.slots, self.runs, self.threads), self.slots)

    @property
    def workers(self) -> int:
        """Candidates that such a job scores at once."""
        return 1 if self.gpus else max(1, self.width // self.threads)


@dataclass(frozen=True)
class Forecast:
    """The run ``run`` of ``config`` with a bank of ``sizes`` (K, P) at ``speeds`` on ``machine``."""

    config: Section
    run: str
    sizes: tuple[int, int]
    speeds: Speeds
    machine: Machine

    @property
    def section(self) -> Section:
        """The run's configuration."""
        found: Section = self.config["runs"][self.run]
        return found

    @property
    def pass_seconds(self) -> float:
        """One candidate's share of a pass over the bank."""
        checkpoints, parameters = self.sizes
        return 4 * checkpoints * parameters / self.speeds.bank

    def seconds(self, done: Work, extractor: str | None = None) -> float:
        """What ``done`` takes, without the job's beginning; gradients are those of ``extractor``.

        Workers share candidates, and the images of a gradient; what a gradient takes besides waits for all of them.
        """
        speeds = self.speeds
        gradient, gradient_image = speeds.gradient_by(extractor)
        image = speeds.image + (done.measures - 1) * speeds.extractor
        each = speeds.evaluation * done.measures + self.pass_seconds
        shared = done.evaluations * each + done.made * image + done.carried_back * gradient_image
        workers = self.machine.workers
        return shared / (workers * (speeds.sharing if workers > 1 else 1.0)) + done.gradients * (
            gradient + 2 * self.pass_seconds
        )

    def generation(self, name: str) -> float:
        """A generation of a search, not its first; its shards at once as far as there are GPUs."""
        count = min(shards(self.section["searches"][name]), max(self.machine.slots // self.machine.width, 1))
        begin = self.speeds.begin if shards(self.section["searches"][name]) > 1 else 0.0
        done = work.of_generation(self.section, name, self.sizes[0])
        return begin + self.seconds(done, self.section["searches"][name].get("extractor")) / count

    def search(self, name: str) -> float:
        """A whole search, with the beginnings of its jobs."""
        entry, k = self.section["searches"][name], self.sizes[0]
        count = min(shards(entry), max(self.machine.slots // self.machine.width, 1))
        begins = len(rounds(entry)) * (2 if shards(entry) > 1 else 1) * self.speeds.begin
        return begins + self.seconds(work.of_search(self.section, name, k=k), entry.get("extractor")) / count

    def total(self) -> float:
        """The whole pipeline."""
        return makespan(list(self.jobs()), self.machine.slots)

    def jobs(self) -> Iterator[Job]:
        """All jobs of the run in the order in which they are begun."""
        run, begin, width, k = self.section, self.speeds.begin, self.machine.width, self.sizes[0]
        yield Job("data", begin)
        measures = tuple(self._extractors())
        yield from measures
        yield from self._trainings()
        last = ("train-constant",) if "train" in run else ("data",)
        yield Job("collect", begin, 1, last)
        ready = ("collect", *(job.name for job in measures))
        for name, entry in run["searches"].items():
            many = min(shards(entry), max(self.machine.slots // width, 1))
            yield Job(f"search-{name}", self.search(name), width * many, ready)
            done = work.of_selection(run, name)
            yield Job(f"select-{name}", begin + self.seconds(done), width, (f"search-{name}",))
        tunings = tuple(f"tune-{name}" for name in run["fine_tune"] or {})
        for name, entry in (run["fine_tune"] or {}).items():
            seconds = self.seconds(work.of_tuning(run, name), entry.get("extractor"))
            yield Job(f"tune-{name}", begin + seconds, width, ready)
        trained = tuple(job.name for job in self._trainings())
        done = work.of_baselines(run, k)
        yield Job("baselines", begin + self.seconds(done), width, (*ready, *trained, *tunings))
        chosen = tuple(f"select-{name}" for name in run["searches"])
        done = work.of_evaluation(run, k)
        yield Job("evaluate", begin + self.seconds(done), width, ("baselines", *chosen))
        yield Job("export", begin, 1, chosen)
        yield Job("report", begin * (1 + REPORT_BEGINNINGS), 1, ("evaluate", "export"))

    def _extractors(self) -> Iterator[Job]:
        """Each extractor that the run uses, with its statistics."""
        names = dict.fromkeys(self.section["extractors"].values())
        names |= dict.fromkeys(filter(None, (e.get("extractor") for e in self.section["searches"].values())))
        for name in names:
            entry = self.config["extractors"][name]
            step = (self.speeds.classifiers or {}).get(name, 0.0)
            made = self.speeds.begin + step * int(entry.get("steps", 0))
            yield Job(f"extractor-{name}", made, 1, ("data",))
            yield Job(f"reference-{name}", 2 * self.speeds.begin, 1, (f"extractor-{name}",))

    def _trainings(self) -> Iterator[Job]:
        run = self.section
        if "train" not in run:
            return
        train, begin, step = run["train"], self.speeds.begin, self.speeds.training
        yield Job("train-constant", begin + step * train["steps"], 1, ("data",))
        if train.get("decayed", True):
            yield Job("train-decayed", begin + step * train["steps"], 1, ("data",))
        if train["continue"]:
            yield Job("train-continued", begin + step * train["continue"], 1, ("train-constant",))

    def memory_mb(self) -> int:
        """What a job that scores asks for."""
        along = any(entry["method"] == "gradient" for entry in self.section["searches"].values())
        device = "cuda" if self.machine.gpus else "cpu"
        return resources.scoring_mb(self.section, self.sizes, device, self.machine.workers, gradients=along)

    def record(self) -> dict[str, Any]:
        """All of it as JSON holds it: bytes, MB and seconds."""
        checkpoints, parameters = self.sizes
        searches = self.section["searches"]
        return {
            "machine": self.machine.name,
            "slots": self.machine.slots,
            "bank_bytes": 4 * checkpoints * parameters,
            "memory_mb": self.memory_mb(),
            "images_per_second": 1 / self.speeds.image,
            "generation_seconds": {name: self.generation(name) for name in searches},
            "search_seconds": {name: self.search(name) for name in searches},
            "job_seconds": {job.name: job.seconds for job in self.jobs()},
            "pipeline_seconds": self.total(),
        }
