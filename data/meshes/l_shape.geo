// An L-shaped plate: [-1, 1]² without its lower right quarter [0, 1] x [-1, 0].
//
//   gmsh -2 l_shape.geo -o l_shape.msh        (gmsh 4.15.2)

Mesh.MshFileVersion = 4.1;
Mesh.Binary = 0;
Mesh.ElementOrder = 1;

size = 0.12;

Point(1) = {-1, -1, 0, size};
Point(2) = { 0, -1, 0, size};
Point(3) = { 0,  0, 0, size};   // the re-entrant corner
Point(4) = { 1,  0, 0, size};
Point(5) = { 1,  1, 0, size};
Point(6) = {-1,  1, 0, size};

Line(1) = {1, 2};
Line(2) = {2, 3};
Line(3) = {3, 4};
Line(4) = {4, 5};
Line(5) = {5, 6};
Line(6) = {6, 1};

Curve Loop(1) = {1, 2, 3, 4, 5, 6};
Plane Surface(1) = {1};

Physical Curve("hot") = {6};
Physical Curve("cooled") = {2, 3};
Physical Curve("insulated") = {1, 4, 5};
Physical Surface("plate") = {1};
