import { clock, moment, utc } from "@/lib/format";

/** A moment in the reader's zone; UTC when it is pointed at. */
export function Time({ at, withDay = true }: { at: string; withDay?: boolean }) {
  return (
    <time dateTime={at} title={utc(at)} suppressHydrationWarning>
      {withDay ? moment(at) : clock(at)}
    </time>
  );
}
