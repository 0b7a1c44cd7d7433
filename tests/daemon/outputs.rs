//! Which files lie beside an image, and in which format.

use crate::helper::{Line, Part, Product, write_image};

#[test]
fn outputs_of_rejected_parts_alone_and_overlays_as_jpeg() {
    let line = Line::new(&[Product { extra: "    outputs: {overlay: jpeg, for: ng, heat: true}\n".into(), ..Product::new("disc") }]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let image = |name: &str| line.drop("disc").join(name);
    write_image(&image("good.png"), Part::ok(1));
    write_image(&image("bad.png"), Part::ng(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "2");
    let beside = |name: &str| {
        let names = std::fs::read_dir(line.drop("disc")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut outputs: Vec<String> =
            names.filter_map(|file| file.strip_prefix(name).map(str::to_owned)).filter(|rest| !rest.is_empty()).collect();
        outputs.sort();
        outputs
    };
    assert_eq!(beside("good.png"), [] as [&str; 0]);
    assert_eq!(beside("bad.png"), [".heat.png", ".mask.png", ".overlay.jpg"]);
    let paths = "SELECT ifnull(overlay_path, '-') FROM inspections WHERE image_path LIKE";
    assert_eq!(line.sql(&format!("{paths} '%good.png'")).unwrap(), "-");
    assert_eq!(line.sql(&format!("{paths} '%bad.png'")).unwrap(), format!("{}.overlay.jpg", image("bad.png").display()));
    let overlay = image::ImageReader::open(image("bad.png.overlay.jpg")).unwrap().decode().unwrap();
    assert_eq!((overlay.width(), overlay.height()), (96, 96));
    // On the scale of the bank an ordinary place is gray; stretched for each image, the least unusual place would be black.
    let heat = image::ImageReader::open(image("bad.png.heat.png")).unwrap().decode().unwrap().into_luma8();
    assert!(heat.pixels().all(|pixel| pixel.0[0] > 0) && heat.pixels().any(|pixel| pixel.0[0] > 127), "tau is the middle");

    // A good part under the name of a bad one does not keep the marks of that one.
    write_image(&image("bad.png"), Part::ok(2));
    line.wait_sql("SELECT count(*) FROM inspections WHERE decision = 'ok'", "2");
    assert_eq!(beside("bad.png"), [] as [&str; 0]);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "3", "an overlay is no image to inspect");
    assert!(daemon.stop().success());
}
