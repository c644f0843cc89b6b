import { Panel } from "@/components/ui/Panel";
import { Pill, type Tone } from "@/components/ui/Pill";
import { Time } from "@/components/ui/Time";
import type { Schemas } from "@/lib/api";
import { percent } from "@/lib/format";

import styles from "./Cost.module.css";

type Source = Schemas["CostSource"];

const TONES: Record<Source["status"], Tone> = { ok: "ok", stale: "watch", down: "act", not_configured: "plain" };
const SETTINGS: Record<string, string> = {
  stripe: "STRIPE_SECRET_KEY",
  openai: "OPENAI_ADMIN_KEY",
  infra: "COST_CONSTANTS",
  workers: "WORKER_HOURLY_COST",
};

/** Who tells what things cost, whether they can be believed now, and how far off the forecasts of each were. */
export function Sources({ sources, isStale }: { sources: Record<string, Source>; isStale: boolean }) {
  return (
    <Panel title="Sources" isStale={isStale}>
      <div className={styles.scroll} tabIndex={0} role="region" aria-label="Table of sources">
        <table>
          <thead>
            <tr>
              <th scope="col">source</th>
              <th scope="col">state</th>
              <th scope="col">read</th>
              <th scope="col" className={styles.amount}>
                forecast error
              </th>
              <th scope="col">note</th>
            </tr>
          </thead>
          <tbody>
            {Object.entries(sources).map(([name, source]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  <Pill tone={TONES[source.status]}>{source.status.replace("_", " ")}</Pill>
                </td>
                <td className={styles.when}>{source.read_at === null ? "–" : <Time at={source.read_at} />}</td>
                <td className={styles.amount}>{source.forecast_error === null ? "–" : percent(source.forecast_error, 1)}</td>
                <td className={styles.text}>{noteOf(name, source)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function noteOf(name: string, source: Source) {
  if (source.status === "not_configured" && SETTINGS[name] !== undefined) {
    return (
      <>
        <code>{SETTINGS[name]}</code> is not set
      </>
    );
  }
  return `${source.is_stale ? "Its last figures are used: " : ""}${source.problem ?? ""}`;
}
