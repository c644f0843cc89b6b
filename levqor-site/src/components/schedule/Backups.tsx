import { Panel } from "@/components/ui/Panel";
import { Pill, type Tone } from "@/components/ui/Pill";
import { Time } from "@/components/ui/Time";
import type { Schemas } from "@/lib/api";
import type { Job } from "@/lib/schedule";

import { RUN_TONES } from "./Jobs";

const JOBS = ["backup", "backup-cycle"];
const TONES: Record<Schemas["VerifyCheck"]["outcome"], Tone> = { PASS: "ok", FAIL: "act", SKIP: "unknown" };

interface Props {
  jobs: readonly Job[];
  verification: Schemas["Verification"] | undefined;
  isStale: boolean;
}

/** When the last copy was made, and whether the newest one could be restored. */
export function Backups({ jobs, verification, isStale }: Props) {
  const runs = jobs.flatMap((job) => (JOBS.includes(job.id) && job.last_run !== null ? [job.last_run] : []));
  const report = verification?.report ?? null;
  const restored = report !== null && "checks" in report ? report.checks.find((check) => check.id === "backup") : undefined;
  return (
    <Panel
      title="Backups"
      isStale={isStale}
      empty={
        runs.length === 0 && restored === undefined ? (
          <p>
            No backup so far: the schedule makes one each night, <code>levqor backup create</code> one now.
          </p>
        ) : undefined
      }
    >
      <ul>
        {runs.map((run) => (
          <li key={run.job}>
            <Pill tone={RUN_TONES[run.state]}>{run.state.replace("_", " ")}</Pill> {run.job}, <Time at={run.started_at ?? run.due_at} />
          </li>
        ))}
        {restored !== undefined && report !== null && "checks" in report && (
          <li>
            <Pill tone={TONES[restored.outcome]}>{restored.outcome === "PASS" ? "restored" : restored.outcome === "FAIL" ? "not restored" : "not tried"}</Pill>{" "}
            {restored.seen || restored.reason}, <Time at={report.at} />
          </li>
        )}
      </ul>
    </Panel>
  );
}
