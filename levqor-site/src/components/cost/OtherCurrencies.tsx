import { money } from "@/lib/format";

import styles from "./Cost.module.css";

type Sums = Record<string, Record<string, number>>;

/** Sums that are in no figure, since nothing is converted. */
export function OtherCurrencies({ sums }: { sums: Sums }) {
  if (Object.keys(sums).length === 0) return null;
  return (
    <p className={styles.note}>
      Not in any figure here, since nothing is converted; of the last 30 days: {otherText(sums)}.
    </p>
  );
}

/** "29.80 EUR (infra), 5.00 GBP (ai)" */
export function otherText(sums: Sums): string {
  return Object.entries(sums)
    .flatMap(([currency, found]) => Object.entries(found).map(([category, amount]) => `${money(amount, currency)} (${category})`))
    .join(", ");
}
