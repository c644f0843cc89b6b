"use client";

import { Pill } from "@/components/ui/Pill";
import { useNow } from "@/hooks/useNow";
import { useOverview } from "@/hooks/useOverview";
import { LostConnection } from "@/lib/api";
import { ago } from "@/lib/format";

import styles from "./Connection.module.css";

/** How old the figures are, and whether Levqor is heard at all. */
export function Connection() {
  const overview = useOverview();
  const now = useNow();
  const age = overview.receivedAt > 0 && now > 0 ? Math.max(0, now - overview.receivedAt) / 1000 : null;
  return (
    <span className={styles.place} role="status">
      {overview.error instanceof LostConnection ? (
        <Pill tone="act">connection lost{age === null ? "" : `, last data ${ago(age)}`}</Pill>
      ) : overview.error?.needsSignIn ? (
        <Pill tone="unknown">sign in to see figures</Pill>
      ) : overview.error !== undefined ? (
        <Pill tone="act" title={overview.error.detail}>
          refused: {overview.error.status}
        </Pill>
      ) : age === null ? (
        <Pill tone="unknown">connecting</Pill>
      ) : overview.isStaleAt(now) ? (
        <Pill tone="unknown">stale, {ago(age)}</Pill>
      ) : (
        <span className={styles.fresh}>updated {ago(age)}</span>
      )}
    </span>
  );
}
