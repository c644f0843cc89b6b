"""The drill on dead letters: good jobs that died of a passing fault lie beside jobs that can never succeed."""

from levqor.lab.drill import BACK_WITHIN_S, Found
from levqor.lab.stage import Stage
from levqor.lab.verdicts import Promise, exactly, no_job_doubled, no_job_lost

POISON_FLUSHES = 3


def poison(stage: Stage) -> Found:
    """Jobs that died of a passing fault lie beside jobs that can never succeed; recovery is called until nothing is left."""
    fault = stage.folder / "away"
    fault.touch()
    for _ in range(10):
        stage.submit("frail", fault=str(fault))
    words = [word for _ in range(3) if (word := stage.submit("poison")) is not None]
    poisoned = {word: stage.accepted.pop(word) for word in words}
    wanted = len(stage.accepted) + len(poisoned)
    detect = stage.until(lambda: (stage.get("/ops/queue_health") or {}).get("dead") == wanted, BACK_WITHIN_S)
    fault.unlink()
    at = stage.clock.monotonic()
    answers, recover = [], None
    for _ in range(POISON_FLUSHES):
        answers.append(stage.post("/ops/recover", {"wait_s": 60}, timeout_s=70.0) or {})
        if recover is None and not stage.testimony().lost(stage.accepted):
            recover = stage.clock.monotonic() - at
    jobs = stage.wait_for_jobs(BACK_WITHIN_S)
    put_apart = (stage.get("/ops/dead/quarantined") or {}).get("quarantined") or []
    left = (stage.get("/ops/queue_health") or {}).get("dead")
    runs = sorted({stage.testimony().began[word] for word in poisoned})
    errors_kept = [letter for letter in put_apart if letter["job_id"] in poisoned.values() and "Poison" in str(letter["error"])]
    promises = (
        exactly("every poison job is in quarantine with its error", len(errors_kept), len(poisoned)),
        Promise(f"each was flushed {POISON_FLUSHES} times and no oftener", runs == [1 + POISON_FLUSHES], f"runs {runs}"),
        Promise("the first recovery finished all good jobs", recover is not None),
        no_job_lost(jobs),
        no_job_doubled(jobs),
        Promise("no dead letter is left", left == 0, f"{left}"),
        Promise("each call was answered", all(answer.get("incident_id") for answer in answers)),
    )
    return Found(promises, jobs, detect, recover)
