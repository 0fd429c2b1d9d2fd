// What a dashboard's file may hold, put together from the types that Grafana publishes (@grafana/schema).
//
// The published type of a panel leaves its options open, since each kind of panel has its own. Here each kind that we may
// draw is named with the published types of its options and of its fields. Options may be left out: Grafana has defaults.
import type { Dashboard as AnyDashboard, FieldConfig, FieldConfigSource, Panel, RowPanel } from '@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type * as common from '@grafana/schema/dist/types/common/common.gen';
import type * as barGauge from '@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/types.gen';
import type * as gauge from '@grafana/schema/dist/types/raw/composable/gauge/panelcfg/x/types.gen';
import type * as pieChart from '@grafana/schema/dist/types/raw/composable/piechart/panelcfg/x/types.gen';
import type * as stat from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as table from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type * as text from '@grafana/schema/dist/types/raw/composable/text/panelcfg/x/types.gen';
import type * as timeSeries from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

interface FieldsOf<Custom> extends Omit<FieldConfigSource, 'defaults'> {
  defaults: Omit<FieldConfig, 'custom'> & { custom?: Partial<Custom> };
}

interface PanelOf<Kind extends string, Options, Custom> extends Omit<Panel, 'type' | 'options' | 'fieldConfig'> {
  type: Kind;
  options?: Partial<Options>;
  fieldConfig?: FieldsOf<Custom>;
}

type None = Record<string, never>;

export interface BarGauge extends PanelOf<'bargauge', barGauge.Options, None> {}
export interface Gauge extends PanelOf<'gauge', gauge.Options, None> {}
export interface PieChart extends PanelOf<'piechart', pieChart.Options, common.HideableFieldConfig> {}
export interface Stat extends PanelOf<'stat', stat.Options, None> {}
export interface Table extends PanelOf<'table', table.Options, common.TableFieldOptions> {}
export interface Text extends PanelOf<'text', text.Options, None> {}
export interface TimeSeries extends PanelOf<'timeseries', timeSeries.Options, common.GraphFieldConfig> {}

// A heading. Panels stand below it, not in it: ours are never folded away.
export interface Heading extends Omit<RowPanel, 'panels'> {
  panels: [];
}

/** @discriminator type */
export type Shown = BarGauge | Gauge | Heading | PieChart | Stat | Table | Text | TimeSeries;

export interface Dashboard extends Omit<AnyDashboard, 'panels'> {
  panels: Array<Shown>;
}
