import styles from "./Meter.module.css";

interface Props {
  /** 0..1 and above; above 1 the meter is full. */
  share: number;
  /** Shares at which something happens. */
  marks: readonly number[];
  tone: "plain" | "watch" | "act";
}

/** How much of an amount is used up, for the eye; its figures stand beside it in words. */
export function Meter({ share, marks, tone }: Props) {
  const x = (value: number) => Math.min(100, Math.max(0, value * 100));
  return (
    <svg className={styles.meter} viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" data-tone={tone}>
      <rect className={styles.track} width="100" height="10" />
      <rect className={styles.fill} width={x(share)} height="10" />
      {marks.map((mark) => (
        <path key={mark} className={styles.mark} d={`M${x(mark)} 0v10`} vectorEffect="non-scaling-stroke" />
      ))}
    </svg>
  );
}
