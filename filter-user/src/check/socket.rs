//! Which group may open the socket. Its file is made by whoever makes sockets;
//! here only the name is looked up.

/// A group's number, by its name, in the text of `/etc/group`. A number stands
/// for itself.
#[must_use]
pub fn group(name: &str, groups: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_looked_up_by_its_name() {
        let groups = "root:x:0:\nwww-data:x:33:nginx\nbroken\nwww:x:no:\n";
        assert_eq!(group("www-data", groups), Some(33));
        assert_eq!(group("root", groups), Some(0));
        assert_eq!(group("1234", groups), Some(1234));
        assert_eq!(group("www", groups), None);
        assert_eq!(group("nginx", groups), None);
        assert_eq!(group("", groups), None);
    }
}
