"use client";

import "uplot/dist/uPlot.min.css";

import { type RefObject, useEffect, useRef } from "react";
import type uPlot from "uplot";

type Data = uPlot.AlignedData;

/** Draws `data` into the returned element and follows its width. The chart is made anew only when `options` changes. */
export function useChart(options: Omit<uPlot.Options, "width">, data: Data): RefObject<HTMLDivElement | null> {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const newest = useRef(data);
  newest.current = data;

  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    let isGone = false;
    let observer: ResizeObserver | null = null;
    // The library is fetched beside the first paint, not before it.
    void import("uplot").then(ownTask).then(({ default: Chart }) => {
      if (isGone) return;
      const drawn = new Chart({ ...options, width: Math.max(1, element.clientWidth) }, newest.current, element);
      chart.current = drawn;
      observer = new ResizeObserver(() => {
        // It also tells the width that there is: drawing the same again would cost as much as drawing it.
        if (element.clientWidth > 0 && element.clientWidth !== drawn.width) drawn.setSize({ width: element.clientWidth, height: options.height });
      });
      observer.observe(element);
    });
    return () => {
      isGone = true;
      observer?.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, [options]);

  useEffect(() => chart.current?.setData(data), [data]);

  return place;
}

/** Charts that appear together are drawn one task after another, so that keys and clicks get in between. */
function ownTask<T>(value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, 0, value));
}
