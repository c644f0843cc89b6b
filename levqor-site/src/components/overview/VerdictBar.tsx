import { Pill, type Tone } from "@/components/ui/Pill";
import { Time } from "@/components/ui/Time";
import type { Overview } from "@/lib/api";
import { holderOf } from "@/lib/holds";

import styles from "./VerdictBar.module.css";

const MODES: Record<Overview["status"]["mode"], { text: string; tone: Tone; means: string }> = {
  observe: { text: "observing", tone: "plain", means: "It watches and says what it would do; it changes nothing by itself." },
  act: { text: "acting", tone: "ok", means: "It changes the target of workers by itself." },
  held: { text: "held", tone: "watch", means: "It is held: nothing automatic acts." },
  unknown: { text: "mode unknown", tone: "unknown", means: "The database does not answer: nothing automatic acts." },
};

/** The answer to "must I do something?", in one sentence, with mode and holds. */
export function VerdictBar({ overview, isStale }: { overview: Overview; isStale: boolean }) {
  const { verdict, status } = overview;
  const mode = MODES[status.mode];
  return (
    <section className={`${styles.bar} ${styles[verdict.level]}`} aria-label="Verdict" data-level={verdict.level} data-stale={isStale || undefined}>
      <p className={styles.sentence}>{verdict.sentence}</p>
      <div className={styles.facts}>
        <Pill tone={mode.tone} title={mode.means}>
          {mode.text}
        </Pill>
        {(status.holds ?? []).map((hold) => (
          <Pill key={hold.id} tone="watch" title={hold.why}>
            {holderOf(hold)}
            {hold.expires_at !== null && (
              <>
                {" "}
                until <Time at={hold.expires_at} />
              </>
            )}
          </Pill>
        ))}
        {status.flags.error !== null && (
          <Pill tone="act" title={status.flags.error}>
            flags file is broken
          </Pill>
        )}
        <span className={styles.measured}>
          measured <Time at={overview.measured_at} withDay={false} />
        </span>
      </div>
    </section>
  );
}
