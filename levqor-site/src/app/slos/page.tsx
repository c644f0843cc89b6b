"use client";

import { PageTitle } from "@/components/PageTitle";
import { AvailabilityStrip } from "@/components/slos/AvailabilityStrip";
import { BurnDown } from "@/components/slos/BurnDown";
import { Checks } from "@/components/slos/Checks";
import { Objectives } from "@/components/slos/Objectives";
import { Waiting } from "@/components/Waiting";
import { useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import type { Chart, Schemas } from "@/lib/api";

import styles from "./page.module.css";

const SLO_MS = 15_000;
const MONTH_MS = 300_000;

/** What is promised, whether it is kept, and how much of the budget for not keeping it is left. */
export default function SlosPage() {
  const slo = useApi<Schemas["Slo"]>("/ops/slo", SLO_MS);
  const month = useApi<Chart>("/ops/chart?span=30d", MONTH_MS);
  const now = useNow();
  if (slo.data === undefined) return <Waiting error={slo.error} />;
  const isStale = slo.isStaleAt(now) || slo.error !== undefined;
  const monthProblem = month.data === undefined ? month.error?.message : undefined;
  return (
    <>
      <PageTitle title="SLOs" lead="Objectives over 30 days, their error budgets, and the checks that call recovery." />
      <div className={styles.stack}>
        <Objectives slo={slo.data} isStale={isStale} />
        <AvailabilityStrip month={month.data} objective={1 - (slo.data.budgets["availability"]?.allowed ?? 0)} problem={monthProblem} />
        <BurnDown month={month.data} budgets={slo.data.budgets} problem={monthProblem} />
        <Checks series={slo.data.series} isStale={isStale} />
      </div>
    </>
  );
}
