"use client";

import { useMemo } from "react";

import { type ChartLine, TimeChart } from "@/components/TimeChart";
import type { Schemas } from "@/lib/api";
import { count, milliseconds, percent } from "@/lib/format";
import { signalLines } from "@/lib/incidents";
import { deployMarks } from "@/lib/marks";

import styles from "./IncidentStory.module.css";

const GROUP = "incident";
const HEIGHT = 110;

/** From half an hour before the incident to half an hour after it, by the minute, with the deploys in that time. */
export function IncidentSignals({ minutes, deploys }: { minutes: Schemas["SignalMinute"][]; deploys: Schemas["DeployMark"][] }) {
  const { at, requests, queue } = useMemo(() => chartsOf(minutes), [minutes]);
  const marks = useMemo(() => deployMarks(deploys), [deploys]);
  if (at.length === 0) return <p className={styles.quiet}>No minute around it was measured, or they are kept no longer.</p>;
  return (
    <div>
      <TimeChart title="Requests" at={at} lines={requests} marks={marks} height={HEIGHT} group={GROUP} hasTimes={false} />
      <TimeChart title="Queue" at={at} lines={queue} marks={marks} height={HEIGHT} group={GROUP} />
    </div>
  );
}

function chartsOf(minutes: Schemas["SignalMinute"][]) {
  const { at, values } = signalLines(minutes);
  const requests: ChartLine[] = [
    { label: "P99", token: "--series-1", values: values.p99_ms, format: milliseconds },
    { label: "errors", token: "--series-2", values: values.error_rate, isDashed: true, isOnRight: true, format: (share) => percent(share, 1) },
  ];
  const queue: ChartLine[] = [
    { label: "waiting", token: "--series-1", values: values.queue_depth, format: count },
    { label: "dead letters", token: "--series-2", values: values.dead, isDashed: true, format: count },
    { label: "workers", token: "--series-3", values: values.workers, isStepped: true, isOnRight: true, format: count },
  ];
  return { at, requests, queue };
}
