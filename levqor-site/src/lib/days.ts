/** Calendar days as the API names them (2026-11-22): days of a zone of their own, never moments in the reader's. */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** 22 Nov */
export function dayText(day: string): string {
  const [, month, date] = day.split("-");
  return `${Number(date)} ${MONTHS[Number(month) - 1] ?? "?"}`;
}

/** 22 Nov 2026 */
export function longDay(day: string): string {
  return `${dayText(day)} ${day.slice(0, 4)}`;
}

/** The day that is so many days later. */
export function daysAfter(day: string, count: number): string {
  const moment = new Date(`${day}T00:00:00Z`);
  moment.setUTCDate(moment.getUTCDate() + count);
  return moment.toISOString().slice(0, 10);
}
