// What Prometheus answered -> what Grafana draws: data frames with every rule of the panel applied to their fields.
import {
  applyFieldOverrides, cacheFieldDisplayNames, DataFrame, displayNameOverrideProcessor, FieldType, identityOverrideProcessor, Registry, standardTransformers, standardTransformersRegistry,
  thresholdsOverrideProcessor, toDataFrame, transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';

export type Json = Record<string, any>;

// One answer of /api/v1/query or /api/v1/query_range.
export interface Answer { resultType: string; result: Array<{ metric: Record<string, string>; value?: Pair; values?: Pair[] }>; step_ms: number }
type Pair = [number, string];

// The defaults that Grafana's own panels give the fields of a curve.
const CURVE = {
  drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, gradientMode: 'none', barAlignment: 0,
  barWidthFactor: 0.6, stacking: { mode: 'none', group: 'A' }, axisPlacement: 'auto', axisLabel: '', axisColorMode: 'text',
  axisBorderShow: false, scaleDistribution: { type: 'linear' }, axisCenteredZero: false, showPoints: 'auto', pointSize: 5,
  spanNulls: false, insertNulls: false, hideFrom: { tooltip: false, viz: false, legend: false }, showValues: false,
  thresholdsStyle: { mode: 'off' },
};
const CELLS = { align: 'auto', cellOptions: { type: 'auto' }, inspect: false };
const STANDARD = ['unit', 'color', 'min', 'max', 'decimals', 'noValue', 'mappings'];

standardTransformersRegistry.setInit(() => [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer,
  standardTransformers.sortByTransformer].map((transformation) => ({ id: transformation.id, name: transformation.name, transformation: async () => transformation })) as any);

function legend(format: string, labels: Record<string, string>): string {
  return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => labels[label] ?? '');
}

function numbers(pairs: Pair[]): { times: number[]; values: number[] } {
  return { times: pairs.map(([at]) => at * 1000), values: pairs.map(([, value]) => Number(value)) };
}

// One frame a series, named as its legend says.
function series(target: Json, answer: Answer): DataFrame[] {
  return answer.result.map(({ metric, value, values }) => {
    const { times, values: found } = numbers(values ?? [value!]);
    const name = legend(target.legendFormat, metric);
    return toDataFrame({ refId: target.refId, name, fields: [
      { name: 'Time', type: FieldType.time, values: times, config: { interval: answer.step_ms } },
      { name: 'Value', type: FieldType.number, values: found, labels: metric, config: { displayNameFromDS: name } },
    ] });
  });
}

// One frame a query: a column for the time, one a label, one for the value.
function columns(target: Json, answer: Answer, alone: boolean): DataFrame[] {
  if (!answer.result.length) { return []; }
  const labels = [...new Set(answer.result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return [toDataFrame({ refId: target.refId, fields: [
    { name: 'Time', type: FieldType.time, values: answer.result.map(({ value }) => value![0] * 1000) },
    ...labels.map((label) => ({ name: label, type: FieldType.string, values: answer.result.map(({ metric }) => metric[label]) })),
    { name: alone ? 'Value' : `Value #${target.refId}`, type: FieldType.number, values: answer.result.map(({ value }) => Number(value![1])) },
  ] })];
}

// A text with the labels of a field filled in, which is all our panels ask for.
export function filled(text: string, scoped?: Json): string {
  const labels = scoped?.__dataContext?.value.field.labels ?? {};
  return text.replace(/\$\{__field\.labels\.(\w+)\}/g, (_, label) => labels[label] ?? '');
}

// Every property a field may be given, by the panel or by one of its overrides.
function registry(panel: Json, custom: Json): Registry<any> {
  const always = { process: identityOverrideProcessor, shouldApply: () => true };
  const own = new Set(Object.keys(custom));
  for (const { properties } of panel.fieldConfig.overrides) {
    properties.filter(({ id }: Json) => id.startsWith('custom.')).forEach(({ id }: Json) => own.add(id.slice('custom.'.length)));
  }
  return new Registry<any>(() => [
    ...STANDARD.map((id) => ({ id, path: id, name: id, ...always })),
    { ...always, id: 'displayName', path: 'displayName', name: 'displayName', process: displayNameOverrideProcessor,
      settings: { expandTemplateVars: true } },
    { ...always, id: 'thresholds', path: 'thresholds', name: 'thresholds', process: thresholdsOverrideProcessor },
    ...[...own].map((path) => ({ id: `custom.${path}`, path, name: path, isCustom: true, ...always })),
  ]);
}

export async function framesOf(panel: Json, answers: Record<string, Answer>, theme: any): Promise<DataFrame[]> {
  const wide = panel.type === 'table';
  let found: DataFrame[] = panel.targets.flatMap((target: Json) => {
    const answer = answers[target.refId];
    return wide ? columns(target, answer, panel.targets.length === 1) : series(target, answer);
  });
  if (panel.transformations) { found = await firstValueFrom(transformDataFrame(panel.transformations, found)); }
  const { defaults } = panel.fieldConfig;
  const custom = { ...(wide ? CELLS : panel.type === 'timeseries' ? CURVE : {}), ...defaults.custom };
  const drawn = applyFieldOverrides({
    data: found, fieldConfig: { ...panel.fieldConfig, defaults: { ...defaults, custom } }, theme, timeZone: 'utc',
    replaceVariables: filled as any, fieldConfigRegistry: registry(panel, custom) as any,
  });
  cacheFieldDisplayNames(drawn);
  return drawn;
}
