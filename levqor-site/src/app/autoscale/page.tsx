"use client";

import { useState } from "react";

import { DecisionTable } from "@/components/autoscale/DecisionTable";
import { WhatIf } from "@/components/autoscale/WhatIf";
import { SignalsChart } from "@/components/overview/SignalsChart";
import { PageTitle } from "@/components/PageTitle";
import { Tabs } from "@/components/ui/Tabs";
import { useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import { useOverview } from "@/hooks/useOverview";
import type { Chart } from "@/lib/api";
import { ruleOf } from "@/lib/rules";

import styles from "./page.module.css";

const SPANS = ["1h", "24h", "30d"] as const;
type Span = (typeof SPANS)[number];
const TITLES: Record<Span, string> = { "1h": "The last hour", "24h": "The last 24 hours", "30d": "The last 30 days" };
const POLLS_MS: Record<Span, number> = { "1h": 15_000, "24h": 60_000, "30d": 300_000 };

/** Why the workers are as many as they are, then and now, and what would be if. */
export default function AutoscalePage() {
  const [span, setSpan] = useState<Span>("1h");
  const chart = useApi<Chart>(`/ops/chart?span=${span}`, POLLS_MS[span]);
  const overview = useOverview().data;
  const now = useNow();
  return (
    <>
      <PageTitle title="Autoscale" lead="Each decision with what it read, which rule spoke, and what would have changed it.">
        <Tabs label="Span" options={SPANS} value={span} onChange={setSpan} />
      </PageTitle>
      <div className={styles.columns}>
        <SignalsChart
          key={span}
          title={TITLES[span]}
          chart={chart.data ?? null}
          rule={ruleOf(overview?.decisions?.[0])}
          problem={chart.data === undefined ? chart.error?.message : undefined}
          isStale={chart.isStaleAt(now) || chart.error !== undefined}
        />
        <WhatIf />
      </div>
      <DecisionTable promises={overview?.status.promises} />
    </>
  );
}
