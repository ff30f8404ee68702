// A finned heat sink in section: base [0, 7] x [0, 1], fins [0, 1], [2, 3], [4, 5] and
// [6, 7] x [1, 4]. Fine at the re-entrant corners, at the corners where the materials
// meet the air and at the ends of the chip.
//
//   gmsh -2 heat_sink.geo -o heat_sink.msh        (gmsh 4.15.2)

Mesh.MshFileVersion = 4.1;
Mesh.Binary = 0;
Mesh.ElementOrder = 1;

Point(1) = {0, 0, 0};
Point(2) = {2.5, 0, 0};
Point(3) = {4.5, 0, 0};
Point(4) = {7, 0, 0};
Point(5) = {7, 1, 0};
Point(6) = {6, 1, 0};
Point(7) = {5, 1, 0};
Point(8) = {4, 1, 0};
Point(9) = {3, 1, 0};
Point(10) = {2, 1, 0};
Point(11) = {1, 1, 0};
Point(12) = {0, 1, 0};

Line(1) = {1, 2};
Line(2) = {2, 3};
Line(3) = {3, 4};
Line(4) = {4, 5};
Line(5) = {5, 6};
Line(6) = {6, 7};
Line(7) = {7, 8};
Line(8) = {8, 9};
Line(9) = {9, 10};
Line(10) = {10, 11};
Line(11) = {11, 12};
Line(12) = {12, 1};
Curve Loop(1) = {1 : 12};
Plane Surface(1) = {1};

// The fins, from the left; each stands on the line `root` between `left` and `right`.
roots[] = {11, 9, 7, 5};
lefts[] = {12, 10, 8, 6};
rights[] = {11, 9, 7, 5};
air[] = {4, 6, 8, 10, 12};
fins[] = {};
For i In {0 : 3}
  p = newp;
  Point(p) = {2 * i, 4, 0};
  Point(p + 1) = {2 * i + 1, 4, 0};
  c = newc;
  Line(c) = {rights[i], p + 1};
  Line(c + 1) = {p + 1, p};
  Line(c + 2) = {p, lefts[i]};
  Curve Loop(10 + i) = {-roots[i], c, c + 1, c + 2};
  Plane Surface(10 + i) = {10 + i};
  air[] += {c, c + 1, c + 2};
  fins[] += {10 + i};
EndFor

// Edges from 0.002 at those points to 0.6 far from them.
Field[1] = Distance;
Field[1].PointsList = {2, 3, 5 : 12};
Field[2] = MathEval;
Field[2].F = "0.002 + 0.45 * F1";
Field[3] = MathEval;
Field[3].F = "0.6";
Field[4] = Min;
Field[4].FieldsList = {2, 3};
Background Field = 4;
Mesh.MeshSizeExtendFromBoundary = 0;
Mesh.MeshSizeFromPoints = 0;

Physical Curve("chip") = {2};
Physical Curve("insulated") = {1, 3};
Physical Curve("air") = {air[]};
Physical Surface("base") = {1};
Physical Surface("fins") = {fins[]};
