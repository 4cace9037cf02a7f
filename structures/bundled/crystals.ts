import type { PrototypeName } from './prototypes.js';

/**
 * Where values of this kind are compiled. The numbers below are lattice parameters in general use (room temperature and
 * pressure unless a note says otherwise), written down as facts from knowledge of these compilations, not taken from a data
 * file and not traced to single measurements. Tests hold each against interatomic distances, its space group, and
 * density-functional results for the same crystal where there are any. A type that is stable only hot, under pressure or as
 * a film (cubic BaTiO3, stishovite, zinc-blende GaN) has the value of that phase.
 */
export const SOURCES = {
  elements: 'Ashcroft & Mermin, Solid State Physics (1976); Wyckoff, Crystal Structures, 2nd ed., vol. 1 (1963)',
  cryogenic: 'Wyckoff, Crystal Structures, 2nd ed., vol. 1 (1963); solidified gas, near 4 to 60 K',
  inorganic: 'Wyckoff, Crystal Structures, 2nd ed., vols. 1 to 3 (1963 to 1965)',
  semiconductors: 'Madelung, Semiconductors: Data Handbook, 3rd ed. (2004)',
  intermetallics:
    "Villars & Calvert, Pearson's Handbook of Crystallographic Data for Intermetallic Phases, 2nd ed. (1991)",
  spinels: 'Hill, Craig & Gibbs, Systematics of the spinel structure type, Phys. Chem. Miner. 4, 317 (1979)',
} as const;

/** Crystals of one structure type: a line is the elements in the type's order, then its parameters. */
export interface CrystalTable {
  prototype: PrototypeName;
  source: keyof typeof SOURCES;
  /** Crystals separated by semicolons or line ends, e.g. `Zn O 3.2495 5.2069 0.382; Al N 3.112 4.982 0.382`. */
  crystals: string;
}

/** Every bundled crystal. */
export const CRYSTALS: readonly CrystalTable[] = [
  {
    prototype: 'fcc',
    source: 'elements',
    crystals: `
      Al 4.0495; Ni 3.524; Cu 3.615; Rh 3.803; Pd 3.891; Ag 4.086; Ir 3.839; Pt 3.924; Au 4.078; Pb 4.951; Ca 5.588;
      Sr 6.085; Yb 5.485; Ce 5.161; Th 5.084; Ac 5.311`,
  },
  { prototype: 'fcc', source: 'cryogenic', crystals: 'Ne 4.43; Ar 5.26; Kr 5.72; Xe 6.20' },
  {
    prototype: 'bcc',
    source: 'elements',
    crystals: `
      Li 3.51; Na 4.291; K 5.328; Rb 5.70; Cs 6.14; Ba 5.02; Eu 4.58; V 3.024; Nb 3.301; Ta 3.303; Cr 2.885; Mo 3.147;
      W 3.165; Fe 2.866`,
  },
  { prototype: 'simple-cubic', source: 'elements', crystals: 'Po 3.359' },
  { prototype: 'diamond', source: 'elements', crystals: 'C 3.567; Si 5.431; Ge 5.658; Sn 6.489' },
  {
    prototype: 'hcp',
    source: 'elements',
    crystals: `
      Be 2.286 3.584; Mg 3.209 5.211; Sc 3.309 5.268; Y 3.648 5.732; Ti 2.951 4.684; Zr 3.232 5.148; Hf 3.195 5.051;
      Tc 2.738 4.393; Re 2.761 4.458; Ru 2.706 4.282; Os 2.734 4.317; Co 2.507 4.069; Zn 2.665 4.947; Cd 2.979 5.618;
      Tl 3.457 5.525; Gd 3.634 5.781; Tb 3.606 5.697; Dy 3.592 5.650; Ho 3.578 5.618; Er 3.559 5.585; Tm 3.538 5.554;
      Lu 3.505 5.549`,
  },
  {
    prototype: 'dhcp',
    source: 'elements',
    crystals: 'La 3.774 12.17; Pr 3.672 11.83; Nd 3.658 11.80; Pm 3.65 11.65; Am 3.468 11.24',
  },
  { prototype: 'graphite', source: 'elements', crystals: 'C 2.461 6.708' },
  {
    prototype: 'arsenic',
    source: 'elements',
    crystals: 'As 3.760 10.548 0.2271; Sb 4.307 11.273 0.2335; Bi 4.546 11.862 0.2339',
  },
  { prototype: 'selenium', source: 'elements', crystals: 'Se 4.366 4.954 0.2254; Te 4.457 5.929 0.2636' },
  { prototype: 'white-tin', source: 'elements', crystals: 'Sn 5.832 3.181' },
  { prototype: 'indium', source: 'elements', crystals: 'In 3.253 4.947; Pa 3.925 3.238' },

  {
    prototype: 'rocksalt',
    source: 'inorganic',
    crystals: `
      Li F 4.027; Li Cl 5.130; Li Br 5.501; Li I 6.012; Na F 4.620; Na Cl 5.640; Na Br 5.973; Na I 6.473; K F 5.347;
      K Cl 6.293; K Br 6.600; K I 7.066; Rb F 5.640; Rb Cl 6.581; Rb Br 6.854; Rb I 7.342; Cs F 6.008; Ag F 4.92;
      Ag Cl 5.549; Ag Br 5.775; Li H 4.083; Na H 4.880; K H 5.700; Rb H 6.037; Cs H 6.376; Mg O 4.211; Mg S 5.203;
      Mg Se 5.462; Ca O 4.810; Ca S 5.690; Ca Se 5.916; Ca Te 6.345; Sr O 5.160; Sr S 6.020; Sr Se 6.235; Sr Te 6.660;
      Ba O 5.523; Ba S 6.386; Ba Se 6.600; Ba Te 6.986; Ti O 4.177; Mn O 4.445; Fe O 4.307; Co O 4.260; Ni O 4.177;
      Cd O 4.695; Eu O 5.141; Eu S 5.968; Eu Se 6.195; Eu Te 6.598; Yb O 4.86; Yb S 5.687; Yb Se 5.932; Yb Te 6.361;
      Mn S 5.224; Mn Se 5.462; Pb S 5.936; Pb Se 6.124; Pb Te 6.460; Sn Te 6.313; Ge Te 5.996; Sn As 5.725;
      Sn Sb 6.130; La S 5.854; La Se 6.066; La Te 6.429; Ce S 5.790; Ce Se 5.992; Ce Te 6.359; Pr S 5.731;
      Pr Se 5.944; Pr Te 6.315; Nd S 5.689; Nd Se 5.907; Nd Te 6.262; Sm S 5.970; Sm Se 6.200; Sm Te 6.594;
      Gd S 5.563; Gd Se 5.758; Gd Te 6.139; Tb S 5.522; Tb Se 5.741; Tb Te 6.102; Dy S 5.489; Dy Se 5.690;
      Dy Te 6.079; Ho S 5.465; Ho Se 5.680; Ho Te 6.049; Er S 5.422; Er Se 5.656; Er Te 6.063; Tm S 5.412;
      Tm Se 5.640; Tm Te 6.042; Lu S 5.350; Lu Se 5.572; Lu Te 5.953; Y S 5.493; Y Se 5.711; Y Te 6.114; Sc S 5.190;
      Sc Se 5.398; Zr S 5.160; Th S 5.682; Th Se 5.875; U S 5.489; U Se 5.740; U Te 6.150; Pu S 5.541; Pu Se 5.793;
      Pu Te 6.183; Np S 5.527`,
  },
  {
    prototype: 'rocksalt',
    source: 'intermetallics',
    crystals: `
      Sc N 4.502; Ti N 4.241; V N 4.139; Cr N 4.149; Zr N 4.578; Nb N 4.389; Hf N 4.525; Y N 4.894; La N 5.301;
      Ce N 5.020; Pr N 5.155; Nd N 5.151; Sm N 5.048; Eu N 5.014; Gd N 4.999; Tb N 4.933; Dy N 4.905; Ho N 4.874;
      Er N 4.839; Tm N 4.809; Yb N 4.786; Lu N 4.766; Th N 5.159; U N 4.890; Np N 4.897; Pu N 4.905; Ti C 4.328;
      V C 4.166; Zr C 4.698; Nb C 4.470; Hf C 4.639; Ta C 4.455; Th C 5.346; U C 4.961; Pu C 4.973; Np C 5.004;
      Sc P 5.312; Y P 5.661; La P 6.025; Ce P 5.947; Pr P 5.903; Nd P 5.838; Sm P 5.760; Gd P 5.729; Tb P 5.688;
      Dy P 5.653; Ho P 5.626; Er P 5.606; Tm P 5.573; Yb P 5.555; Lu P 5.533; Th P 5.827; U P 5.589; Pu P 5.664;
      Zr P 5.27; Sc As 5.487; Y As 5.786; La As 6.137; Ce As 6.072; Pr As 6.009; Nd As 5.970; Sm As 5.921;
      Gd As 5.854; Tb As 5.827; Dy As 5.780; Ho As 5.771; Er As 5.732; Tm As 5.711; Yb As 5.698; Lu As 5.680;
      Th As 5.978; U As 5.779; Pu As 5.855; Sc Sb 5.859; Y Sb 6.165; La Sb 6.488; Ce Sb 6.412; Pr Sb 6.366;
      Nd Sb 6.321; Sm Sb 6.271; Gd Sb 6.217; Tb Sb 6.181; Dy Sb 6.153; Ho Sb 6.131; Er Sb 6.106; Tm Sb 6.083;
      Yb Sb 6.079; Lu Sb 6.055; Th Sb 6.318; U Sb 6.191; Pu Sb 6.240; Y Bi 6.255; La Bi 6.578; Ce Bi 6.500;
      Pr Bi 6.461; Nd Bi 6.424; Sm Bi 6.362; Gd Bi 6.316; Tb Bi 6.280; Dy Bi 6.251; Ho Bi 6.228; Er Bi 6.202;
      Tm Bi 6.192; Lu Bi 6.156; U Bi 6.364`,
  },
  {
    prototype: 'caesium-chloride',
    source: 'inorganic',
    crystals: 'Cs Cl 4.123; Cs Br 4.286; Cs I 4.567; Tl Cl 3.834; Tl Br 3.985; Tl I 4.205',
  },
  {
    prototype: 'caesium-chloride',
    source: 'intermetallics',
    crystals: `
      Ni Al 2.887; Fe Al 2.909; Co Al 2.862; Ru Al 3.03; Rh Al 2.99; Os Al 3.005; Ir Al 2.983; Cu Zn 2.954;
      Ag Mg 3.315; Au Mg 3.266; Au Zn 3.149; Au Cd 3.323; Ag Cd 3.332; Ag Zn 3.156; Pd In 3.246; Ni Ga 2.886;
      Co Ga 2.880; Ni In 3.093; Rh Ga 3.005; Be Co 2.611; Be Cu 2.702; Be Ni 2.622; Be Pd 2.819; Fe Ti 2.976;
      Co Ti 2.995; Ni Ti 3.015; Ru Ti 3.067; Os Ti 3.077; Co Zr 3.196; Co Hf 3.164; Ru Zr 3.253; Ru Hf 3.225;
      Os Zr 3.263; Os Hf 3.239; Co Sc 3.15; Ni Sc 3.171; Ru Sc 3.203; Rh Sc 3.204; Pd Sc 3.282; Cu Sc 3.256;
      Ag Sc 3.412; Au Sc 3.37; Li Tl 3.435; Li Hg 3.287; Li Ag 3.168; Mg Hg 3.448; Mg Tl 3.635; Ca Tl 3.851;
      Ca Hg 3.758; Ca Cd 3.838; Sr Tl 4.038; Sr Cd 4.011; Sr Hg 3.955; Ba Cd 4.215; Ba Hg 4.133; Mg Sc 3.597;
      Mg Y 3.797; Mg La 3.965; Mg Ce 3.898; Mg Pr 3.888; Mg Nd 3.867; Mg Sm 3.848; Mg Gd 3.824; Mg Tb 3.784;
      Mg Dy 3.776; Mg Ho 3.770; Mg Er 3.758; Mg Tm 3.744; Mg Lu 3.727; Ag Y 3.617; Ag La 3.814; Ag Ce 3.755;
      Ag Nd 3.714; Ag Sm 3.673; Ag Gd 3.648; Ag Tb 3.627; Ag Dy 3.609; Ag Ho 3.601; Ag Er 3.574; Ag Tm 3.562;
      Cu Y 3.477; Cu Gd 3.505; Cu Tb 3.480; Cu Dy 3.462; Cu Ho 3.445; Cu Er 3.430; Cu Tm 3.414; Cu Eu 3.59;
      Au Y 3.559; Au Gd 3.60; Au Tb 3.576; Au Dy 3.555; Au Ho 3.541; Au Er 3.533; Au Tm 3.516; Au Lu 3.497;
      Au Yb 3.563; Zn Y 3.577; Zn La 3.759; Zn Ce 3.704; Zn Pr 3.678; Zn Nd 3.667; Zn Sm 3.627; Zn Gd 3.602;
      Zn Tb 3.576; Zn Dy 3.563; Zn Ho 3.548; Zn Er 3.532; Zn Tm 3.516; Zn Yb 3.629; Cd Y 3.719; Cd La 3.905;
      Cd Ce 3.855; Cd Pr 3.830; Cd Nd 3.819; Cd Gd 3.748; Hg Y 3.682; Hg La 3.845; Hg Ce 3.808; Hg Nd 3.780;
      Rh Y 3.410; Rh Gd 3.435; Rh Dy 3.403; Rh Ho 3.377; Rh Er 3.361`,
  },
  {
    prototype: 'zinc-blende',
    source: 'semiconductors',
    crystals: `
      B N 3.616; B P 4.538; B As 4.777; Al P 5.467; Al As 5.661; Al Sb 6.136; Ga P 5.451; Ga As 5.653; Ga Sb 6.096;
      In P 5.869; In As 6.058; In Sb 6.479; Zn S 5.409; Zn Se 5.668; Zn Te 6.101; Cd S 5.818; Cd Se 6.077;
      Cd Te 6.481; Hg S 5.851; Hg Se 6.084; Hg Te 6.461; Be S 4.863; Be Se 5.139; Be Te 5.626; Mg Te 6.42; Mn S 5.600;
      Mn Se 5.82; Cu Cl 5.416; Cu Br 5.691; Cu I 6.043; Ag I 6.495; Si C 4.360; Ga N 4.50`,
  },
  {
    prototype: 'wurtzite',
    source: 'semiconductors',
    crystals: `
      Zn O 3.250 5.207 0.382; Zn S 3.823 6.261 0.375; Cd S 4.136 6.714 0.377; Cd Se 4.299 7.011 0.376;
      Be O 2.698 4.377 0.378; Al N 3.112 4.982 0.382; Ga N 3.189 5.186 0.377; In N 3.538 5.703 0.379;
      Ag I 4.592 7.510 0.375; Mg Te 4.53 7.35 0.375; Si C 3.076 5.048 0.376; Mn S 3.987 6.438 0.377;
      Zn Se 3.996 6.626 0.375; Zn Te 4.27 6.99 0.375; Cd Te 4.57 7.47 0.375; B N 2.553 4.228 0.375`,
  },
  {
    prototype: 'nickel-arsenide',
    source: 'intermetallics',
    crystals: `
      Ni As 3.619 5.034; Ni Sb 3.934 5.138; Ni Te 3.980 5.380; Ni Bi 4.070 5.350; Co Sb 3.866 5.188;
      Co Te 3.888 5.360; Fe Sb 4.072 5.140; Cr Sb 4.115 5.493; Cr Te 3.978 6.228; Mn As 3.710 5.691;
      Mn Sb 4.140 5.789; Mn Bi 4.290 6.126; Mn Te 4.148 6.711; V S 3.360 5.813; V Se 3.580 5.977; Ti S 3.299 6.380;
      Ti Se 3.566 6.232; Ti Te 3.834 6.390; Pt Sb 4.130 5.472; Pt Bi 4.315 5.490; Pd Sb 4.070 5.582;
      Pd Te 4.152 5.672; Ir Sb 3.978 5.521; Ir Te 3.930 5.386; Rh Te 3.990 5.660; Cu Sn 4.190 5.096;
      Au Sn 4.323 5.523; Pt Sn 4.103 5.428; Co S 3.370 5.160; Ni S 3.439 5.348; Co Se 3.629 5.301; Ni Se 3.661 5.356`,
  },
  {
    prototype: 'tungsten-carbide',
    source: 'intermetallics',
    crystals: `
      W C 2.906 2.837; W N 2.893 2.826; Mo P 3.230 3.207; Zr Te 3.771 3.861; Ta N 2.936 2.885; Mo C 2.898 2.809`,
  },
  {
    prototype: 'copper-gold',
    source: 'intermetallics',
    // a of the primitive cell: the face-centred a over √2.
    crystals: `
      Fe Pt 2.729 3.713; Co Pt 2.691 3.684; Fe Pd 2.723 3.723; Ti Al 2.826 4.069; Cu Au 2.800 3.670;
      Ni Pt 2.704 3.608; Mn Ni 2.645 3.520; Mn Pt 2.830 3.669; Zn Pd 2.896 3.342; Cd Pt 2.964 3.831;
      Mn Pd 2.880 3.584; Hg Pd 3.026 3.702; Mg In 3.236 4.394`,
  },

  {
    prototype: 'fluorite',
    source: 'inorganic',
    crystals: `
      Ca F 5.463; Sr F 5.800; Ba F 6.200; Cd F 5.388; Pb F 5.940; Hg F 5.54; Eu F 5.842; Sr Cl 6.977; Ba Cl 7.34;
      Ce O 5.411; Th O 5.597; U O 5.470; Np O 5.434; Pu O 5.396; Am O 5.376; Pr O 5.393; Tb O 5.220; Pa O 5.505;
      Zr O 5.09; Hf O 5.115; Po O 5.687; Sc H 4.783; Y H 5.205; La H 5.667; Ce H 5.580; Pr H 5.515; Nd H 5.469;
      Sm H 5.376; Gd H 5.303; Tb H 5.246; Dy H 5.201; Ho H 5.165; Er H 5.123; Tm H 5.090; Lu H 5.033; Ti H 4.454;
      V H 4.271; Nb H 4.566; Np H 5.343; Pu H 5.359`,
  },
  {
    prototype: 'fluorite',
    source: 'intermetallics',
    crystals: `
      Co Si 5.365; Ni Si 5.406; Au Al 5.997; Au Ga 6.076; Au In 6.515; Pt Al 5.922; Pt Ga 5.923; Pt In 6.366;
      Pt Sn 6.425`,
  },
  {
    prototype: 'antifluorite',
    source: 'inorganic',
    crystals: `
      Li O 4.619; Na O 5.550; K O 6.436; Rb O 6.740; Li S 5.710; Na S 6.526; K S 7.391; Rb S 7.650; Li Se 6.005;
      Na Se 6.809; K Se 7.676; Rb Se 8.010; Li Te 6.504; Na Te 7.314; K Te 8.152; Rb Te 8.494; Mg Si 6.351;
      Mg Ge 6.393; Mg Sn 6.759; Mg Pb 6.836; Be C 4.342; Ir P 5.535; Rh P 5.516`,
  },
  {
    prototype: 'rutile',
    source: 'inorganic',
    crystals: `
      Ti O 4.594 2.959 0.305; Sn O 4.737 3.186 0.307; Ru O 4.492 3.107 0.306; Ir O 4.499 3.154 0.308;
      Os O 4.500 3.184 0.308; Cr O 4.421 2.917 0.303; Mn O 4.398 2.873 0.305; Pb O 4.955 3.383 0.307;
      Ge O 4.395 2.860 0.306; Ta O 4.709 3.065 0.305; V O 4.555 2.851 0.300; Rh O 4.489 3.090 0.305;
      Mg F 4.623 3.052 0.303; Mn F 4.873 3.310 0.305; Fe F 4.697 3.309 0.300; Co F 4.695 3.180 0.304;
      Ni F 4.651 3.084 0.302; Zn F 4.703 3.134 0.303; Pd F 4.956 3.389 0.307; Si O 4.180 2.667 0.306;
      Mg H 4.517 3.021 0.304; V F 4.804 3.237 0.306`,
  },
  {
    prototype: 'pyrite',
    source: 'inorganic',
    crystals: `
      Fe S 5.418 0.385; Co S 5.538 0.390; Ni S 5.687 0.395; Mn S 6.104 0.401; Ru S 5.610 0.388; Os S 5.619 0.387;
      Co Se 5.858 0.380; Ni Se 5.962 0.383; Mn Te 6.951 0.386; Ru Se 5.934 0.381; Ru Te 6.391 0.371;
      Os Se 5.945 0.383; Os Te 6.397 0.374; Pt P 5.696 0.390; Pt As 5.967 0.383; Pt Sb 6.440 0.375; Pd As 5.982 0.383;
      Pd Sb 6.459 0.372; Pt Bi 6.702 0.371; Zn S 5.954 0.401; Cd S 6.303 0.41; Cu S 5.790 0.399; Rh Se 6.002 0.380;
      Au Sb 6.658 0.376`,
  },
  {
    prototype: 'cadmium-iodide',
    source: 'inorganic',
    crystals: `
      Cd I 4.244 6.859 0.249; Mg I 4.153 6.862 0.25; Ca I 4.490 6.975 0.263; Mn I 4.146 6.829 0.25;
      Fe I 4.040 6.750 0.25; Co I 3.960 6.650 0.25; Pb I 4.557 6.979 0.265; Mg Br 3.815 6.256 0.25;
      Mn Br 3.868 6.272 0.25; Fe Br 3.776 6.227 0.25; Co Br 3.685 6.120 0.25; Ti S 3.407 5.695 0.250;
      Ti Se 3.540 6.008 0.255; Ti Te 3.777 6.498 0.261; Zr S 3.662 5.813 0.257; Zr Se 3.770 6.138 0.257;
      Zr Te 3.952 6.660 0.262; Hf S 3.635 5.837 0.256; Hf Se 3.748 6.159 0.257; Pt S 3.543 5.039 0.227;
      Pt Se 3.728 5.081 0.255; Pt Te 4.026 5.221 0.254; Sn S 3.648 5.899 0.25; Sn Se 3.811 6.137 0.255;
      Ta S 3.364 5.897 0.257; V Se 3.353 6.101 0.257; Ni Te 3.843 5.265 0.25; Co Te 3.804 5.417 0.25;
      Pd Te 4.036 5.127 0.267; Tm I 4.520 6.967 0.25; Yb I 4.503 6.972 0.25`,
  },
  {
    prototype: 'molybdenite',
    source: 'inorganic',
    crystals: `
      Mo S 3.161 12.295 0.6215; Mo Se 3.289 12.927 0.621; Mo Te 3.518 13.974 0.621; W S 3.154 12.362 0.6225;
      W Se 3.286 12.976 0.6211`,
  },
  {
    prototype: 'aluminium-diboride',
    source: 'intermetallics',
    crystals: `
      Al B 3.005 3.257; Mg B 3.086 3.524; Ti B 3.030 3.230; Zr B 3.169 3.531; Hf B 3.142 3.476; V B 2.998 3.057;
      Nb B 3.111 3.267; Ta B 3.098 3.227; Cr B 2.973 3.072; Mo B 3.041 3.061; Mn B 3.009 3.037; Sc B 3.148 3.516;
      Y B 3.303 3.842; Gd B 3.315 3.936; Tb B 3.292 3.878; Dy B 3.287 3.847; Ho B 3.281 3.811; Er B 3.271 3.781;
      Tm B 3.258 3.748; Lu B 3.244 3.704; U B 3.131 3.987; Th Al 4.388 4.162; U Hg 4.976 3.218; La Ga 4.320 4.417;
      Ce Ga 4.320 4.320; Pr Ga 4.272 4.298; Sr Ga 4.344 4.732; Ba Ga 4.432 5.066; Pu B 3.187 3.949`,
  },
  {
    prototype: 'cubic-laves',
    source: 'intermetallics',
    crystals: `
      Mg Cu 7.034; Ca Al 8.040; Y Al 7.860; La Al 8.148; Ce Al 8.055; Pr Al 8.025; Nd Al 8.000; Sm Al 7.943;
      Gd Al 7.900; Tb Al 7.867; Dy Al 7.840; Ho Al 7.813; Er Al 7.793; Tm Al 7.776; Yb Al 7.878; Lu Al 7.742;
      U Al 7.766; Eu Al 8.125; Sc Al 7.582; Y Fe 7.363; Zr Fe 7.070; Ce Fe 7.304; Sm Fe 7.417; Gd Fe 7.396;
      Tb Fe 7.347; Dy Fe 7.325; Ho Fe 7.304; Er Fe 7.283; Tm Fe 7.247; Lu Fe 7.222; U Fe 7.058; Y Co 7.216;
      Zr Co 6.954; Hf Co 6.910; Ce Co 7.161; Pr Co 7.306; Nd Co 7.300; Sm Co 7.260; Gd Co 7.256; Tb Co 7.206;
      Dy Co 7.187; Ho Co 7.168; Er Co 7.155; Tm Co 7.121; Lu Co 7.127; U Co 6.992; Nb Co 6.758; Ti Co 6.706;
      Y Ni 7.181; Ce Ni 7.210; Gd Ni 7.202; Tb Ni 7.160; Dy Ni 7.155; Ho Ni 7.136; Er Ni 7.118; Tm Ni 7.095;
      Lu Ni 7.082; Sc Ni 6.926; Y Mn 7.680; Gd Mn 7.730; Ca Rh 7.525; Ca Ir 7.545; Ca Pt 7.629; Ca Pd 7.665;
      La Ru 7.702; Ce Ru 7.536; La Rh 7.646; Ce Rh 7.538; Y Ir 7.500; La Ir 7.688; Ce Ir 7.571; Y Rh 7.459;
      Y Pt 7.590; La Pt 7.755; Ce Pt 7.723; Zr W 7.621; Zr Mo 7.596; Hf W 7.590; Hf Mo 7.560; Zr V 7.439; Zr Cr 7.207;
      Zr Ir 7.352; Na Au 7.802; K Bi 9.501; Pb Au 7.930; Bi Au 7.958; Na Ag 7.923; Ta Cr 6.985; Nb Cr 6.991;
      Ti Cr 6.943; Hf V 7.386; Cu Be 5.952`,
  },
  { prototype: 'cuprite', source: 'inorganic', crystals: 'Cu O 4.270; Ag O 4.736' },

  {
    prototype: 'copper3-gold',
    source: 'intermetallics',
    crystals: `
      Cu Au 3.749; Ni Al 3.572; Ni Fe 3.555; Ni Ga 3.585; Ni Ge 3.574; Ni Si 3.504; Ni Mn 3.589; Pt Fe 3.866;
      Fe Pt 3.727; Co Ti 3.614; Cu Pt 3.682; Cu Pd 3.676; Pt Mn 3.898; Pt Co 3.831; Pt Cr 3.877; Pt V 3.870;
      Pt Ti 3.906; Pt Sn 4.004; Pt Pb 4.053; Pt In 3.992; Pt Zn 3.893; Pt Al 3.876; Pd Sn 3.976; Pd Pb 4.023;
      Pd Fe 3.848; Pd Mn 3.90; Rh Ti 3.824; Rh V 3.795; Rh Zr 3.927; Rh Nb 3.857; Rh Hf 3.911; Rh Ta 3.860;
      Ir Ti 3.845; Ir V 3.812; Ir Zr 3.943; Ir Nb 3.886; Ir Hf 3.935; Ir Ta 3.889; Ir Cr 3.81; Zr Al 4.374;
      Al Li 4.010; Al Sc 4.103; Al U 4.287; Al Er 4.215; Al Tm 4.200; Al Yb 4.200; Al Lu 4.187; Al Np 4.262;
      In La 4.732; In Ce 4.688; In Pr 4.671; In Nd 4.653; In Sm 4.626; In Gd 4.606; In Tb 4.588; In Dy 4.579;
      In Ho 4.573; In Er 4.563; In Tm 4.548; In Yb 4.613; In Lu 4.545; In Y 4.592; In Sc 4.480; In U 4.601;
      In Pu 4.607; Sn La 4.768; Sn Ce 4.721; Sn Pr 4.715; Sn Nd 4.705; Sn Sm 4.687; Sn Gd 4.676; Sn Eu 4.744;
      Sn Yb 4.681; Sn U 4.626; Sn Th 4.718; Sn Ca 4.742; Sn Y 4.666; Sn Np 4.627; Sn Pu 4.630; Pb La 4.903;
      Pb Ce 4.874; Pb Pr 4.867; Pb Nd 4.852; Pb Sm 4.833; Pb Gd 4.805; Pb Ca 4.901; Pb Y 4.813; Pb Th 4.853;
      Pb U 4.792; Pb Yb 4.864; Pb Na 4.888; Pb Eu 4.915; Pb Tb 4.785; Pb Dy 4.776; Pb Ho 4.767; Pb Er 4.757;
      Tl La 4.800; Tl Ce 4.767; Tl Pr 4.752; Tl Nd 4.736; Tl Gd 4.680; Tl Dy 4.656; Tl Er 4.639; Tl Ca 4.796;
      Pd Y 4.068; Pd La 4.235; Pd Ce 4.129; Pd Pr 4.138; Pd Nd 4.124; Pd Sm 4.101; Pd Eu 4.088; Pd Gd 4.090;
      Pd Tb 4.076; Pd Dy 4.067; Pd Ho 4.061; Pd Er 4.053; Pd Tm 4.043; Pd Yb 4.034; Pd Lu 4.028; Pd Sc 3.969;
      Rh U 3.991; Rh Ce 4.025; Pt Ho 4.064; Pt Er 4.050; Pt Tm 4.040; Pt Y 4.076; Pt Tb 4.085; Ga U 4.256; Ge U 4.206;
      Si U 4.036; Ru U 3.988; Ir U 4.023`,
  },
  {
    prototype: 'bismuth-fluoride',
    source: 'intermetallics',
    crystals: `
      Fe Al 5.793; Fe Si 5.653; Li Bi 6.722; Li Sb 6.573; Cs Sb 9.14; Mg La 7.494; Mg Ce 7.428; Mg Pr 7.415;
      Mg Nd 7.400; Mg Gd 7.324; Mg Tb 7.296; Mg Dy 7.267; K Bi 8.805; Rb Bi 8.98; Cs Bi 9.31; H La 5.604; H Ce 5.539;
      H Pr 5.486; Mn Si 5.722`,
  },
  {
    prototype: 'a15',
    source: 'intermetallics',
    crystals: `
      Nb Sn 5.290; Nb Al 5.187; Nb Ga 5.171; Nb Ge 5.139; V Si 4.725; V Ga 4.817; V Ge 4.783; Cr Si 4.556;
      Mo Si 4.893; Mo Ge 4.934; Cr Ge 4.615; V Sn 4.984; Nb Sb 5.262; Ti Sb 5.217; Ti Au 5.094; Ti Ir 5.009;
      Ti Pt 5.032; Nb Au 5.204; Nb Pt 5.153; Nb Ir 5.132; Nb Os 5.121; V Ir 4.787; V Pt 4.814; V Au 4.881; V Sb 4.941;
      V As 4.752; V Pd 4.825; V Rh 4.784; V Co 4.681; V Ni 4.712; Cr Ir 4.668; Cr Rh 4.656; Cr Pt 4.706; Mo Ir 4.959;
      Mo Os 4.969; Cr Os 4.677; Zr Au 5.482; Zr Sn 5.625; Ta Sn 5.276; Mo Al 4.950; Ti Hg 5.189`,
  },
  {
    prototype: 'rhenium-trioxide',
    source: 'inorganic',
    crystals: 'Re O 3.751; Al F 3.58; Sc F 4.013; Nb F 3.903; Ta F 3.898; Mo F 3.898',
  },
  {
    prototype: 'calcium-copper5',
    source: 'intermetallics',
    crystals: `
      Ca Cu 5.082 4.078; La Ni 5.017 3.986; Y Co 4.937 3.978; Sm Co 4.989 3.981; Pr Co 5.013 3.980; Nd Co 5.026 3.975;
      Gd Co 4.976 3.973; La Co 5.105 3.966; Ce Co 4.922 4.026; Tb Co 4.947 3.982; Y Ni 4.891 3.961; Ce Ni 4.878 4.006;
      Pr Ni 4.957 3.976; Nd Ni 4.952 3.976; Sm Ni 4.924 3.974; Gd Ni 4.906 3.968; Tb Ni 4.894 3.966;
      Dy Ni 4.869 3.969; Ho Ni 4.871 3.966; Er Ni 4.858 3.965; Ca Ni 4.955 3.937; La Cu 5.186 4.110;
      Ce Cu 5.146 4.108; Sr Ag 5.672 4.611; Ca Zn 5.416 4.191; Sr Zn 5.544 4.279; La Zn 5.427 4.225;
      Th Co 4.956 4.037; Th Ni 4.921 3.990; La Pt 5.386 4.376; Ce Pt 5.367 4.378; Ba Au 5.660 4.510;
      Ba Pd 5.498 4.339; Sr Pd 5.411 4.416`,
  },
  {
    prototype: 'calcium-hexaboride',
    source: 'intermetallics',
    crystals: `
      Ca B 4.152 0.202; Sr B 4.198 0.203; Ba B 4.269 0.205; La B 4.157 0.1993; Ce B 4.141 0.199; Pr B 4.132 0.200;
      Nd B 4.126 0.199; Sm B 4.133 0.202; Eu B 4.185 0.203; Gd B 4.107 0.200; Tb B 4.102 0.201; Dy B 4.098 0.200;
      Yb B 4.147 0.203; Y B 4.102 0.199; Th B 4.110 0.197`,
  },
  {
    prototype: 'corundum',
    source: 'inorganic',
    crystals: `
      Al O 4.759 12.991 0.3522 0.3063; Cr O 4.959 13.594 0.3476 0.3059; Fe O 5.034 13.752 0.3553 0.3056;
      V O 4.952 14.003 0.3463 0.3118; Ti O 5.158 13.611 0.3447 0.3133; Ga O 4.983 13.433 0.3554 0.3065;
      Rh O 5.127 13.853 0.3481 0.295; In O 5.487 14.510 0.3573 0.298`,
  },
  {
    prototype: 'tetradymite',
    source: 'inorganic',
    crystals: `
      Bi Te 4.385 30.49 0.4000 0.2095; Bi Se 4.138 28.64 0.4008 0.2117; Sb Te 4.264 30.458 0.3988 0.2128`,
  },

  {
    prototype: 'perovskite',
    source: 'inorganic',
    crystals: `
      Sr Ti O 3.905; Ba Ti O 4.012; Ba Zr O 4.193; Ba Hf O 4.171; Ba Sn O 4.117; K Ta O 3.989; K Nb O 4.022;
      Na Ta O 3.929; Sr Fe O 3.850; Sr V O 3.843; Sr Mo O 3.976; Ba Mo O 4.040; Ba Nb O 4.080; Eu Ti O 3.905;
      Sr Co O 3.836; Pb Ti O 3.960; La Al O 3.811; K Mg F 3.989; K Mn F 4.189; K Fe F 4.121; K Co F 4.071;
      K Ni F 4.012; K Zn F 4.055; K Cd F 4.293; Rb Mn F 4.243; Rb Co F 4.127; Rb Zn F 4.122; Rb Fe F 4.174;
      Rb Ca F 4.453; Rb Cd F 4.398; Cs Ca F 4.523; Cs Cd F 4.465; Cs Pb F 4.81; Cs Hg F 4.57; Tl Mn F 4.250;
      Tl Co F 4.138; Ba Li F 3.996; Rb Hg F 4.47; Cs Hg Cl 5.44; Cs Pb Cl 5.605; Cs Pb Br 5.874; Cs Sn Br 5.804;
      Cs Sn I 6.219; Cs Ge Cl 5.47; Cs Ca Cl 5.396; Ba Li H 4.023`,
  },
  {
    prototype: 'antiperovskite',
    source: 'intermetallics',
    crystals: `
      Ni Mg C 3.812; Mn Ga C 3.896; Mn Al C 3.869; Mn Zn C 3.925; Mn Sn C 3.987; Mn Ga N 3.898; Mn Zn N 3.890;
      Mn Ni N 3.886; Mn Cu N 3.907; Mn Ag N 4.013; Mn Sn N 4.060; Mn Ge C 3.87; Mn In C 3.994; Fe Al C 3.770;
      Fe Zn C 3.80; Fe Ni N 3.790; Ti Al C 4.156; Ti In C 4.200; Ti Tl C 4.21; Ca Sn O 4.83; Ca Pb O 4.847;
      Sr Sn O 5.139; Sr Pb O 5.151; Ca Ge O 4.73; Sc Al C 4.48; Sc In C 4.553`,
  },
  {
    prototype: 'spinel',
    source: 'spinels',
    crystals: `
      Mg Al O 8.083 0.2624; Zn Al O 8.086 0.2636; Fe Al O 8.149 0.2633; Co Al O 8.107 0.264; Mn Al O 8.258 0.265;
      Cu Al O 8.078 0.263; Cd Al O 8.355 0.269; Mg Cr O 8.333 0.2612; Zn Cr O 8.327 0.2616; Fe Cr O 8.378 0.2625;
      Co Cr O 8.332 0.2616; Mn Cr O 8.437 0.264; Cd Cr O 8.602 0.267; Zn Fe O 8.441 0.2604; Cd Fe O 8.690 0.2665;
      Mn Fe O 8.499 0.2615; Co Co O 8.084 0.2631; Zn Co O 8.095 0.263; Zn Ga O 8.330 0.2617; Cd Ga O 8.590 0.267;
      Zn V O 8.403 0.2604; Mg V O 8.420 0.260; Mn V O 8.520 0.2615; Cd V O 8.695 0.267; Li Mn O 8.247 0.2632;
      Li Ti O 8.405 0.262; Li V O 8.240 0.2612; Ge Mg O 8.250 0.2508; Ge Fe O 8.411 0.2505; Ge Co O 8.318 0.2507;
      Ge Ni O 8.222 0.2505; Si Fe O 8.235 0.2408; Si Co O 8.140 0.2417; Si Ni O 8.044 0.2439; Mg Rh O 8.530 0.260;
      Zn Rh O 8.510 0.260; Cd Rh O 8.781 0.265; Co Rh O 8.495 0.261`,
  },
  {
    prototype: 'spinel',
    source: 'inorganic',
    crystals: `
      Zn Cr S 9.986 0.2592; Zn Cr Se 10.494 0.2599; Cd Cr S 10.244 0.2647; Cd Cr Se 10.745 0.2642;
      Hg Cr S 10.237 0.266; Hg Cr Se 10.753 0.264; Cu Cr S 9.814 0.2588; Cu Cr Se 10.337 0.2576;
      Cu Cr Te 11.137 0.2554; Mn Cr S 10.110 0.2625; Fe Cr S 9.995 0.2592; Co Cr S 9.923 0.259; Cu Rh S 9.790 0.2591;
      Cu Ti S 9.880 0.2577; Cu V S 9.810 0.2595; Co Co S 9.406 0.2591; Ni Ni S 9.480 0.2605; Fe Ni S 9.465 0.257;
      Cd In S 10.831 0.261; Mg In S 10.708 0.257; Mn In S 10.720 0.258; Cd Er S 11.10 0.254; Mg Yb S 10.957 0.254;
      Cd Sc S 10.726 0.2595; Mg Sc S 10.627 0.2557; Cu Co S 9.482 0.259; Cu Zr S 10.378 0.258; Mn Sc S 10.623 0.257;
      Mg Lu S 10.949 0.254; Mg Er Se 11.475 0.255; Cd Ho S 11.168 0.254; Zn Sc S 10.478 0.2566`,
  },
  {
    prototype: 'heusler',
    source: 'intermetallics',
    crystals: `
      Cu Mn Al 5.949; Ni Mn Ga 5.825; Co Mn Si 5.654; Co Mn Ge 5.743; Co Mn Sn 6.000; Co Mn Ga 5.770; Co Mn Al 5.756;
      Co Fe Si 5.640; Co Fe Al 5.730; Co Cr Al 5.727; Co Ti Al 5.847; Co Ti Si 5.740; Co Ti Ge 5.831; Co Ti Sn 6.073;
      Co Ti Ga 5.848; Co V Al 5.772; Co V Ga 5.786; Co V Sn 5.978; Co Zr Al 6.078; Co Zr Sn 6.249; Co Hf Sn 6.218;
      Co Hf Al 6.045; Co Nb Sn 6.153; Co Nb Al 5.935; Co Ta Al 5.930; Fe V Al 5.761; Fe V Ga 5.778; Fe Ti Sn 6.074;
      Fe Mn Si 5.671; Ru Mn Si 5.887; Ru Mn Ge 5.985; Ru Mn Sn 6.217; Ni Mn Sn 6.053; Ni Mn In 6.068; Ni Mn Sb 6.010;
      Ni Mn Al 5.822; Ni Ti Al 5.872; Ni Ti Sn 6.090; Ni Zr Sn 6.270; Ni Hf Sn 6.240; Ni Nb Sn 6.160; Ni Zr Al 6.123;
      Ni Hf Al 6.081; Ni Mg Sn 6.098; Ni Mg Sb 6.049; Cu Mn In 6.186; Cu Mn Sn 6.173; Pd Mn Sn 6.380; Pd Mn Sb 6.419;
      Pd Mn In 6.373; Pd Mn Ge 6.174; Pd Mn Al 6.165; Rh Mn Ge 6.030; Rh Mn Sn 6.252; Rh Mn Al 6.005; Au Mn Al 6.358;
      Pd Zr Al 6.390; Pd Hf Al 6.372; Pd Y Sn 6.716; Pd Zr In 6.529; Pd Er Sn 6.681; Pd Sc Sn 6.509; Pd Lu Sn 6.644;
      Pd Yb Sn 6.639; Pd Dy Sn 6.700; Pd Ho Sn 6.692`,
  },
  {
    prototype: 'half-heusler',
    source: 'intermetallics',
    crystals: `
      Ti Ni Sn 5.930; Zr Ni Sn 6.110; Hf Ni Sn 6.083; Ti Co Sb 5.883; Zr Co Sb 6.067; Hf Co Sb 6.039; Nb Co Sn 5.947;
      Ta Co Sn 5.940; V Fe Sb 5.823; Nb Fe Sb 5.952; Ta Fe Sb 5.945; Mn Ni Sb 5.920; Mn Pt Sb 6.200; Mn Pd Sb 6.250;
      Mn Cu Sb 6.095; Mg Ni Sb 6.048; Mg Ni Bi 6.175; Zr Rh Sb 6.263; Hf Rh Sb 6.233; Ti Rh Sb 6.104; Ti Fe Sb 5.950;
      V Co Sb 5.791; Nb Co Sb 5.897; Sc Pt Sb 6.312; Y Pt Sb 6.538; Er Pt Sb 6.462; Lu Pt Sb 6.452; Ho Pt Sb 6.500;
      Y Ni Sb 6.312; Y Pd Sb 6.530; Er Pd Sb 6.466; Y Pt Bi 6.640; La Pt Bi 6.829; Ce Pt Bi 6.833; Nd Pt Bi 6.764;
      Gd Pt Bi 6.680; Dy Pt Bi 6.644; Ho Pt Bi 6.628; Er Pt Bi 6.606; Lu Pt Bi 6.574; Sc Ni Sb 6.062; Sc Pd Sb 6.310;
      Gd Ni Sb 6.366; Tb Ni Sb 6.324; Dy Ni Sb 6.303; Ho Ni Sb 6.287; Er Ni Sb 6.262; Tm Ni Sb 6.246; Lu Ni Sb 6.214;
      Zr Ir Sb 6.291; Hf Ir Sb 6.271; Ti Pt Sn 6.167; Zr Pt Sn 6.325; Hf Pt Sn 6.305; Zr Pd Sn 6.321; Hf Pd Sn 6.293;
      Zr Co Bi 6.178; Zr Ni Pb 6.251`,
  },
  {
    prototype: 'nowotny-juza',
    source: 'semiconductors',
    crystals: `
      Li Mg N 4.970; Li Zn N 4.877; Li Zn P 5.751; Li Zn As 5.940; Li Mg P 6.005; Li Mg As 6.180; Li Mg Sb 6.62;
      Li Mg Bi 6.74; Li Cd P 6.087; Li Cd As 6.262`,
  },
  {
    prototype: 'chalcopyrite',
    source: 'semiconductors',
    crystals: `
      Cu Fe S 5.289 10.423 0.257; Cu In S 5.523 11.118 0.214; Cu In Se 5.784 11.616 0.224;
      Cu In Te 6.194 12.416 0.225; Cu Ga S 5.351 10.484 0.259; Cu Ga Se 5.614 11.022 0.250;
      Cu Ga Te 6.023 11.940 0.25; Cu Al S 5.334 10.444 0.268; Cu Al Se 5.606 10.901 0.269; Cu Al Te 5.964 11.780 0.25;
      Ag In S 5.876 11.201 0.25; Ag In Se 6.104 11.714 0.25; Ag In Te 6.443 12.634 0.25; Ag Ga S 5.757 10.304 0.291;
      Ag Ga Se 5.992 10.886 0.276; Ag Ga Te 6.288 11.940 0.26; Ag Al S 5.695 10.260 0.30; Ag Al Se 5.956 10.750 0.27;
      Ag Al Te 6.296 11.830 0.26; Zn Si P 5.399 10.435 0.269; Zn Ge P 5.465 10.771 0.258; Zn Sn P 5.651 11.302 0.239;
      Zn Si As 5.606 10.890 0.266; Zn Ge As 5.672 11.153 0.250; Zn Sn As 5.852 11.705 0.231;
      Cd Si P 5.678 10.431 0.297; Cd Ge P 5.741 10.775 0.282; Cd Sn P 5.900 11.518 0.265; Cd Si As 5.884 10.882 0.298;
      Cd Ge As 5.943 11.217 0.279; Cd Sn As 6.094 11.918 0.262`,
  },
  {
    prototype: 'layered-oxide',
    source: 'inorganic',
    crystals: `
      Li Co O 2.816 14.054 0.2395; Li Ni O 2.878 14.190 0.242; Na Fe O 3.025 16.094 0.234; Na Cr O 2.975 15.968 0.233;
      Na Co O 2.889 15.609 0.231; Li Cr O 2.896 14.413 0.240; Li V O 2.840 14.800 0.24; Li Rh O 3.017 14.297 0.241;
      Na Ti O 3.037 16.26 0.234; Na V O 2.996 16.100 0.233; Na In O 3.235 16.350 0.235; Na Cr S 3.534 19.500 0.2385;
      Na In S 3.803 19.890 0.240; K Cr S 3.602 21.160 0.235; Na Y S 3.970 19.890 0.242`,
  },
  {
    prototype: 'thorium-chromium2-silicon2',
    source: 'intermetallics',
    crystals: `
      Th Cr Si 4.043 10.577 0.374; Ba Fe As 3.963 13.017 0.3545; Sr Fe As 3.924 12.364 0.360;
      Ca Fe As 3.872 11.730 0.3665; Ba Ni As 4.112 11.540 0.347; K Fe As 3.842 13.861 0.3525;
      Ce Cu Si 4.105 9.933 0.379; U Ru Si 4.128 9.575 0.371; Y Ru Si 4.157 9.545 0.37; La Ni Si 4.108 9.645 0.371;
      La Cu Si 4.150 9.930 0.381; Ce Ni Si 4.036 9.575 0.372; Ce Ru Si 4.197 9.797 0.365; Ce Rh Si 4.090 10.180 0.374;
      Ce Pd Si 4.240 9.876 0.379; Gd Ni Si 3.956 9.488 0.375; Gd Cu Si 4.003 9.993 0.378; Gd Ru Si 4.163 9.610 0.367;
      Y Ni Si 3.920 9.531 0.374; Y Cu Si 3.969 9.993 0.378; La Fe Si 4.059 10.142 0.371; Ce Fe Si 3.986 9.860 0.376;
      La Co Si 4.027 9.904 0.374; Ba Co As 3.958 12.670 0.351; Sr Ni As 4.137 10.190 0.364;
      Y Mn Si 3.926 10.462 0.384; La Mn Ge 4.195 10.983 0.381; Ca Co As 3.989 10.330 0.367;
      Eu Fe As 3.907 12.114 0.362`,
  },
  {
    prototype: 'hexachloroplatinate',
    source: 'inorganic',
    crystals: `
      K Pt Cl 9.751 0.238; Rb Pt Cl 9.884 0.238; Cs Pt Cl 10.192 0.236; K Sn Cl 9.990 0.242; Rb Sn Cl 10.100 0.240;
      Cs Sn Cl 10.381 0.234; K Re Cl 9.840 0.240; K Os Cl 9.729 0.240; K Ir Cl 9.770 0.237; Cs Te Cl 10.447 0.242;
      Rb Te Cl 10.233 0.248; Cs Ge Cl 10.210 0.225; Cs Zr Cl 10.428 0.236; Cs Pb Cl 10.416 0.240;
      Cs Ti Cl 10.219 0.230; K Pt Br 10.293 0.240; K Re Br 10.385 0.241; Cs Sn I 11.652 0.246; Cs Pt Br 10.64 0.232;
      Cs Si F 8.919 0.190; K Si F 8.133 0.207; Rb Si F 8.452 0.20; Cs Ge F 9.021 0.198; K Mn F 8.221 0.219;
      Cs Hf Cl 10.420 0.235; Cs Sn Br 10.837 0.240; Rb Sn Br 10.58 0.244; Cs Te Br 10.918 0.247; Cs Te I 11.700 0.251;
      Rb Sn I 11.6 0.246; Cs Mn F 8.972 0.204; Rb Mn F 8.460 0.212`,
  },
];
