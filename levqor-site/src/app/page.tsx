"use client";

import { AnalyticsWidget } from "@/components/AnalyticsWidget";
import { Cards } from "@/components/overview/Cards";
import { Decisions } from "@/components/overview/Decisions";
import { Incidents } from "@/components/overview/Incidents";
import { SignalsChart } from "@/components/overview/SignalsChart";
import { VerdictBar } from "@/components/overview/VerdictBar";
import { Workers } from "@/components/overview/Workers";
import { Waiting } from "@/components/Waiting";
import { useNow } from "@/hooks/useNow";
import { useOverview } from "@/hooks/useOverview";
import { ruleOf } from "@/lib/rules";

import styles from "./page.module.css";

/** The first screen, in the order of the questions of somebody woken at 03:00. */
export default function OverviewPage() {
  const overview = useOverview();
  const now = useNow();
  const { data, error } = overview;
  if (data === undefined) return <Waiting error={error} />;
  const isStale = overview.isStaleAt(now) || error !== undefined;
  const elapsedS = now > 0 ? Math.max(0, now - overview.receivedAt) / 1000 : 0;
  return (
    <div className={styles.screen}>
      <h1 className="visually-hidden">Overview</h1>
      <VerdictBar overview={data} isStale={isStale} />
      <Cards overview={data} elapsedS={elapsedS} />
      <div className={styles.middle}>
        <SignalsChart chart={data.chart} rule={ruleOf(data.decisions?.[0])} problem={data.unavailable["chart"]} isStale={isStale} />
        <Decisions decisions={data.decisions} problem={data.unavailable["decisions"]} isStale={isStale} />
      </div>
      <div className={styles.bottom}>
        <Workers overview={data} isStale={isStale} />
        <Incidents incidents={data.incidents} problem={data.unavailable["incidents"]} isStale={isStale} />
        <AnalyticsWidget />
      </div>
    </div>
  );
}
