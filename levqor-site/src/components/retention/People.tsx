import { Panel } from "@/components/ui/Panel";
import type { Schemas } from "@/lib/api";
import { count } from "@/lib/format";

import styles from "./People.module.css";

interface Props {
  analytics: Schemas["Analytics"] | undefined;
  problem: string | undefined;
  isStale: boolean;
}

/** How many people there are, how many are new, how many came again, and where they came from. */
export function People({ analytics, problem, isStale }: Props) {
  return (
    <Panel title="People" problem={problem} isStale={isStale} empty={analytics === undefined ? <p aria-busy="true">Counting…</p> : undefined}>
      {analytics !== undefined && (
        <>
          <dl className={styles.people}>
            <Count name="in all" value={analytics.users.total} />
            <Count name="new in 7 days" value={analytics.users.new_7d} />
            <Count name="new in 30 days" value={analytics.users.new_30d} />
            <Count name="came again, 7 days" value={analytics.users.returning_7d} />
            <Count name="came again, 30 days" value={analytics.users.returning_30d} />
          </dl>
          <Sources sources={analytics.referral_sources} />
        </>
      )}
    </Panel>
  );
}

function Sources({ sources }: { sources: Schemas["ReferralSource"][] }) {
  if (sources.length === 0) {
    return (
      <p className={styles.note}>
        Where people came from is not known: <code>levqor users set ID --referral-source NAME</code> says it of one,{" "}
        <code>ANALYTICS_USERS_SQL</code> of all.
      </p>
    );
  }
  const most = Math.max(1, ...sources.map((source) => source.users));
  return (
    <table>
      <caption className="visually-hidden">Referral sources, the most frequent first</caption>
      <thead>
        <tr>
          <th scope="col">came from</th>
          <th scope="col" className={styles.count}>
            people
          </th>
          <td className={styles.share} aria-hidden="true" />
        </tr>
      </thead>
      <tbody>
        {sources.map((source) => (
          <tr key={source.source}>
            <th scope="row" className={styles.source}>
              {source.source}
            </th>
            <td className={styles.count}>{count(source.users)}</td>
            <td aria-hidden="true">
              <svg className={styles.bar} viewBox="0 0 100 12" preserveAspectRatio="none">
                <rect width={(100 * source.users) / most} height="12" />
              </svg>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Count({ name, value }: { name: string; value: number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{count(value)}</dd>
    </div>
  );
}
