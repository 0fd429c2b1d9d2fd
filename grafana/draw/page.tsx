// One dashboard as a picture: its panels in their places, drawn by Grafana's own components from recorded answers.
import {
  createTheme, dateTime, FieldDisplay, getDisplayValueAlignmentFactors, getFieldDisplayValues, ThemeContext, TimeRange,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, Icon, PanelChrome, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import '@grafana/react-data-grid/lib/styles.css';
import 'uplot/dist/uPlot.min.css';
import { createRoot } from 'react-dom/client';
import { Answer, filled, framesOf, Json } from './frames';

interface Seen { board: Json; variables: Record<string, string>; from_ms: number; to_ms: number; answers: Record<string, Record<string, Answer>> }

const GAP = 8, CELL = 30, EDGE = 16, WIDTH = 1600, COLUMNS = 24;
const COLUMN = (WIDTH - 2 * EDGE - GAP * (COLUMNS - 1)) / COLUMNS;
const theme = createTheme({ colors: { mode: 'dark' } });

function box({ x, y, w, h }: Json) {
  return { left: EDGE + x * (COLUMN + GAP), top: y * (CELL + GAP), width: w * (COLUMN + GAP) - GAP, height: h * (CELL + GAP) - GAP };
}

function Empty({ says }: { says: string }) {
  const style = { display: 'flex', alignItems: 'center', justifyContent: 'center', height: '100%', color: theme.colors.text.secondary };
  return <div style={style}>{says}</div>;
}

interface Drawn { panel: Json; frames: any[]; width: number; height: number; range: TimeRange }

function Single({ panel, frames, width, height }: Drawn) {
  const { options, fieldConfig } = panel, bars = panel.type === 'bargauge';
  const values = () => getFieldDisplayValues({ data: frames, fieldConfig, reduceOptions: options.reduceOptions, theme,
    replaceVariables: filled as any, timeZone: 'utc', sparkline: options.graphMode === 'area' });
  const count = values().length;
  const draw = ({ value, width, height, orientation, alignmentFactors }: any) => bars
    ? <BarGauge theme={theme} value={count === 1 && !value.field.displayName ? { ...value.display, title: undefined } : value.display} field={value.field}
        display={value.view?.getFieldDisplayProcessor(value.colIndex)} width={width} height={height} orientation={orientation}
        text={options.text} itemSpacing={10} displayMode={options.displayMode} showUnfilled={options.showUnfilled} alignmentFactors={alignmentFactors}
        valueDisplayMode={options.valueMode} namePlacement={options.namePlacement} />
    : <BigValue theme={theme} value={value.display} width={width} height={height} count={count} sparkline={value.sparkline}
        colorMode={options.colorMode} graphMode={options.graphMode} justifyMode={options.justifyMode} textMode={options.textMode}
        text={options.text} alignmentFactors={alignmentFactors} wideLayout={options.wideLayout ?? true} />;
  const factors = (found: FieldDisplay[]) => getDisplayValueAlignmentFactors(found);
  return <VizRepeater getValues={values} renderValue={draw as any} getAlignmentFactors={factors as any} width={width} height={height}
    source={frames} renderCounter={0} orientation={options.orientation ?? 'auto'} autoGrid={!bars} itemSpacing={bars ? 10 : 3}
    minVizHeight={bars ? options.minVizHeight ?? 16 : undefined} minVizWidth={bars ? 8 : undefined}
    maxVizHeight={bars ? options.maxVizHeight ?? 300 : undefined} />;
}

function Curve({ panel, frames, width, height, range }: Drawn) {
  return <TimeSeries frames={frames} structureRev={1} timeRange={range} timeZone="utc" width={width} height={height}
    legend={panel.options.legend} options={panel.options} />;
}

function Cells({ panel, frames, width, height }: Drawn) {
  return <TableNG data={frames[0]} width={width} height={height} noHeader={!panel.options.showHeader} cellHeight={panel.options.cellHeight}
    fieldConfig={panel.fieldConfig} enableVirtualization={false} sortBy={panel.options.sortBy} noValue={panel.fieldConfig.defaults.noValue} />;
}

const DRAWN: Record<string, (drawn: Drawn) => React.ReactNode> = { stat: Single, bargauge: Single, timeseries: Curve, table: Cells };

function Shown({ panel, frames, range }: Omit<Drawn, 'width' | 'height'>) {
  const place = box(panel.gridPos), Kind = DRAWN[panel.type];
  const empty = !frames.length && !('reduceOptions' in panel.options && panel.type === 'stat');
  const link = <span style={{ padding: '0 8px', color: theme.colors.text.secondary }}><Icon name="external-link-alt" /></span>;
  return <div style={{ position: 'absolute', ...place }}>
    <PanelChrome title={panel.title} description={panel.description} titleItems={link} width={place.width} height={place.height}
      padding={panel.type === 'table' ? 'none' : 'md'}>
      {(width, height) => empty ? <Empty says={panel.fieldConfig.defaults.noValue} />
        : <Kind panel={panel} frames={frames} width={width} height={height} range={range} />}
    </PanelChrome>
  </div>;
}

function Heading({ panel }: { panel: Json }) {
  return <div style={{ position: 'absolute', ...box(panel.gridPos), display: 'flex', alignItems: 'center', gap: 8, fontWeight: 500, fontSize: 16 }}>
    <Icon name="angle-down" />{panel.title}</div>;
}

function Chosen({ seen }: { seen: Seen }) {
  const { secondary, primary } = theme.colors.background;
  const time = (ms: number) => dateTime(ms).utc().format('HH:mm:ss');
  const all = { ...seen.variables, 'UTC': `${time(seen.from_ms)} to ${time(seen.to_ms)}` };
  return <div style={{ padding: `14px ${EDGE}px`, display: 'flex', gap: 16, alignItems: 'center' }}>
    <span style={{ fontSize: 22, fontWeight: 500, marginRight: 'auto' }}>{seen.board.title}</span>
    {Object.entries(all).map(([name, value]) => <span key={name} style={{ background: secondary, border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2 }}>
      <span style={{ padding: '6px 8px', display: 'inline-block', color: theme.colors.text.secondary }}>{name}</span>
      <span style={{ padding: '6px 8px', display: 'inline-block', background: primary }}>{value}</span></span>)}
  </div>;
}

async function main() {
  const seen: Seen = await (await fetch('seen.json')).json();
  const range: TimeRange = { from: dateTime(seen.from_ms).utc(), to: dateTime(seen.to_ms).utc(), raw: { from: 'now-1h', to: 'now' } };
  const panels: Json[] = seen.board.panels;
  const frames = await Promise.all(panels.map((panel) => panel.type === 'row' ? [] : framesOf(panel, seen.answers[panel.id], theme)));
  const bottom = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * (CELL + GAP) + GAP;
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}><GlobalStyles />
      <Chosen seen={seen} />
      <div style={{ position: 'relative', height: bottom }}>
        {panels.map((panel, at) => panel.type === 'row' ? <Heading key={panel.id} panel={panel} />
          : <Shown key={panel.id} panel={panel} frames={frames[at]} range={range} />)}
      </div>
    </ThemeContext.Provider>);
}

main().catch((error) => { document.body.textContent = String(error.stack); });
