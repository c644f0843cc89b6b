"use client";

import { InCode } from "@/components/ui/InCode";
import { Panel } from "@/components/ui/Panel";
import { useNow } from "@/hooks/useNow";
import type { Overview, Worker } from "@/lib/api";
import { fleetOf } from "@/lib/fleets";
import { span } from "@/lib/format";

import styles from "./Workers.module.css";

const SIGNS: Record<Worker["state"], string> = { starting: "◌", idle: "○", busy: "●", draining: "◐", lost: "✕", unknown: "?" };
const MOST_TILES = 24;

interface Props {
  overview: Overview;
  isStale: boolean;
}

/** A tile for each worker: what it does, and for how long it lives. */
export function Workers({ overview, isStale }: Props) {
  const { workers, status, unavailable } = overview;
  const fleet = fleetOf(status.fleet_kind);
  const now = useNow();
  const problem = workers === null ? (unavailable["workers"] ?? status.problems["workers"] ?? "the workers are unknown") : undefined;
  const shown = (workers ?? []).slice(0, MOST_TILES);
  const rest = (workers ?? []).length - shown.length;
  return (
    <Panel
      title="Workers"
      aside={
        <span>
          {status.running ?? "?"} of {status.target ?? "?"}, at most {overview.thresholds.workers_max}
          {fleet.owner !== "" && `, ${fleet.owner}`}
        </span>
      }
      problem={problem}
      isStale={isStale}
      empty={
        workers?.length === 0 ? (
          <p>
            No worker lives. <InCode text={fleet.start} />
          </p>
        ) : undefined
      }
    >
      <ul className={styles.tiles}>
        {shown.map((worker) => (
          <li key={worker.name} className={styles.tile} data-state={worker.state} title={placeOf(worker)}>
            <span className={styles.state}>
              <span aria-hidden="true">{SIGNS[worker.state]}</span> {worker.state}
            </span>
            <span className={styles.detail}>{worker.job ?? ageOf(worker, now)}</span>
          </li>
        ))}
        {rest > 0 && <li className={styles.tile}>and {rest} more</li>}
      </ul>
    </Panel>
  );
}

function placeOf({ name, host, pid }: Worker): string {
  return `${name} on ${host === "" ? "an unknown host" : host}, pid ${pid ?? "unknown"}`;
}

function ageOf(worker: Worker, now: number): string {
  if (worker.started_at === null || now === 0) return `pid ${worker.pid ?? "unknown"}`;
  return `up ${span(now / 1000 - worker.started_at)}`;
}
