//! Shows the tenants' CRM how their customers stand.
//!
//! An event of the bus is a hint: what is written is the contact as it is now, and only what the CRM
//! does not have yet. Only `attio` knows Attio: another CRM is another file that implements
//! [`paygraph_engine::crm::Crm`].

pub mod attio;
pub mod handler;
pub mod wiring;
